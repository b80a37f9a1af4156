// Charts, drawn by Vega-Lite.

async function drawChart(place) {
  const { vegaEmbed } = await library("vega");
  const spec = await unpack(place.id);
  const actions = { export: true, source: false, compiled: false, editor: false };
  try {
    await vegaEmbed(place, spec, { renderer: "svg", actions });
    place.setAttribute("data-drawn", "");
  } catch (error) {
    place.textContent = "This chart could not be drawn: " + error.message;
    console.error(error);
  }
}

for (const place of document.querySelectorAll(".vega")) drawChart(place);
