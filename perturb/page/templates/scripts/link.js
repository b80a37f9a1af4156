// What the reader chose, kept in the page's link: #model=...&a=...&b=...

const followers = [];
let choices = choicesIn(location.hash);

// A link to a section, such as #claims, chooses nothing.
function choicesIn(hash) {
  return new URLSearchParams(hash.includes("=") ? hash.slice(1) : "");
}

// Calls a function with the choices, now and whenever they change.
function follow(show) {
  followers.push(show);
  show(choices);
}

// Changes some choices; an empty value is none. Typing adds no step to the browser's history.
function choose(changes, isTyping = false) {
  const next = new URLSearchParams(choices);
  for (const [key, value] of Object.entries(changes)) {
    if (value) next.set(key, value);
    else next.delete(key);
  }
  if (String(next) === String(choices)) return;
  const section = document.activeElement?.closest("main > section");
  if (section) next.set("at", section.id);
  choices = next;
  history[isTyping ? "replaceState" : "pushState"](null, "", "#" + choices);
  for (const show of followers) show(choices);
}

window.addEventListener("hashchange", () => {
  const isSection = location.hash.length > 1 && !location.hash.includes("=");
  if (isSection) {
    if (!String(choices)) return;
    choices.set("at", location.hash.slice(1));
    history.replaceState(null, "", "#" + choices);
    return;
  }
  choices = choicesIn(location.hash);
  for (const show of followers) show(choices);
});

// Links that choose a model do not leave their place, and keep the other choices.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-model]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose({ model: link.dataset.model });
});

// Sections of the page are made when they are about to be seen, the others when the browser is idle,
// so that they can be printed.
const waiting = new Map();

function whenNear(id, act) {
  const section = document.getElementById(id);
  if (!section) return;
  waiting.set(section, () => act(section).then(() => section.setAttribute("data-ready", "")));
  approaching.observe(section);
}

function makeSection(section) {
  const act = waiting.get(section);
  waiting.delete(section);
  approaching.unobserve(section);
  return act?.();
}

const approaching = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) makeSection(entry.target);
  },
  { rootMargin: "600px 0px" },
);

window.addEventListener("load", async () => {
  document.getElementById(choices.get("at") ?? "")?.scrollIntoView();
  for (const section of [...waiting.keys()]) {
    await idle();
    await makeSection(section);
  }
});

// Makes the sections that were not seen yet.
function unmadeSections() {
  return [...waiting.keys()].map(makeSection);
}
