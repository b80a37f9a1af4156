// The contents: which part is read now; a link to something folded unfolds it.

// The ids of the page need no escapes; a link that is typed may have any.
function unfold(id) {
  const target = document.getElementById(id);
  for (let place = target; place; place = place.parentElement) {
    if (place.tagName === "DETAILS") place.open = true;
  }
}
window.addEventListener("hashchange", () => unfold(location.hash.slice(1)));
unfold(location.hash.slice(1));

const links = Array.from(document.querySelectorAll("nav.contents a"));

function mark(id) {
  for (const link of links) {
    if (link.hash !== "#" + id) link.removeAttribute("aria-current");
    else if (!link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "true");
      const list = link.closest("ul");
      list.scrollLeft = link.offsetLeft - list.clientWidth / 3;
    }
  }
}

// The part that lies across the upper third of the window.
const read = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => mark(target.id)),
  { rootMargin: "-30% 0px -69% 0px" },
);
for (const link of links) {
  const part = document.getElementById(link.hash.slice(1));
  if (part) read.observe(part);
}
