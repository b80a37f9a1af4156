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

function idle() {
  return new Promise((resolve) => {
    // Safari has no idle callbacks.
    if (window.requestIdleCallback) requestIdleCallback(resolve, { timeout: 1000 });
    else setTimeout(resolve, 50);
  });
}

// Printing cannot wait for charts: they are drawn before.
async function drawOthers() {
  for (const place of places) {
    await idle();
    await drawn(place);
  }
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
if (document.readyState === "complete") drawOthers();
else window.addEventListener("load", drawOthers);

document.getElementById("print").addEventListener("click", async () => {
  await Promise.all(places.map(drawn));
  window.print();
});
