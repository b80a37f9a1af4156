// Charts, drawn by Vega-Lite when they are about to be seen, the others while the browser is idle.

const places = Array.from(document.querySelectorAll(".vega"));
const drawings = new Map();

// Draw a chart once.
function drawn(place) {
  if (!drawings.has(place)) drawings.set(place, draw(place));
  return drawings.get(place);
}

async function draw(place) {
  try {
    const spec = { ...(await unpack(place.id)), background: "transparent" };
    await embed(place, spec);
    place.setAttribute("data-drawn", "");
  } catch (error) {
    place.textContent = "This chart could not be drawn: " + error.message;
    console.error(error);
  }
}

async function embed(place, spec) {
  const { vegaEmbed } = await library("vega");
  return vegaEmbed(place, spec, { renderer: "svg", actions: false });
}

const nearby = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((entry) => entry.isIntersecting)) {
      nearby.unobserve(entry.target);
      drawn(entry.target);
    }
  },
  { rootMargin: "600px 0px" },
);
for (const place of places) nearby.observe(place);
