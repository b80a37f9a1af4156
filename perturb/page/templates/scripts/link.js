// What the reader chose, kept in the page's link: #model=...&a=...&b=...

const followers = [];
let choices = choicesIn(location.hash);
// What the choices show, made when this is fulfilled.
let shown = Promise.resolve();
keep("replaceState");

// A link to a section, such as #claims, chooses nothing.
function choicesIn(hash) {
  return new URLSearchParams(hash.includes("=") ? hash.slice(1) : "");
}

// Calls a function with the choices, now and whenever they change; returns what it returns now.
function follow(show) {
  followers.push(show);
  return show(choices);
}

function announce() {
  shown = Promise.all(followers.map((show) => show(choices)));
}

// Each step of the browser's history knows its choices: the link of a section has none.
function keep(change, hash) {
  history[change]({ choices: String(choices) }, "", hash);
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
  keep(isTyping ? "replaceState" : "pushState", "#" + choices);
  announce();
}

window.addEventListener("hashchange", () => {
  const kept = history.state?.choices;
  const isSection = location.hash.length > 1 && !location.hash.includes("=");
  if (kept === undefined && isSection) {
    if (String(choices)) choices.set("at", location.hash.slice(1));
    keep("replaceState", String(choices) ? "#" + choices : location.hash);
    return;
  }
  choices = kept === undefined ? choicesIn(location.hash) : new URLSearchParams(kept);
  if (kept === undefined) keep("replaceState");
  announce();
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
const sections = new Map();

function whenNear(id, act) {
  const section = document.getElementById(id);
  if (!section) return;
  waiting.set(section, () => act(section).then(() => section.setAttribute("data-ready", "")));
  approaching.observe(section);
}

// Makes a section once.
function makeSection(section) {
  approaching.unobserve(section);
  if (!sections.has(section)) sections.set(section, waiting.get(section)());
  return sections.get(section);
}

const approaching = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) makeSection(entry.target);
  },
  { rootMargin: "600px 0px" },
);

window.addEventListener("load", async () => {
  const at = choices.get("at") ?? "";
  unfold(at);
  document.getElementById(at)?.scrollIntoView();
  for (const section of [...waiting.keys()]) {
    await idle();
    await makeSection(section);
  }
});

// Makes the sections that were not seen yet, and waits for those that are being made.
async function madeSections() {
  await Promise.all([...waiting.keys()].map(makeSection));
  await shown;
}
