// Packed parts of the page, gzip in base64 in inert script elements: unpacked once, when needed.

const unpackedTexts = new Map();

function textOf(id) {
  if (!unpackedTexts.has(id)) unpackedTexts.set(id, unpackText(id));
  return unpackedTexts.get(id);
}

async function unpackText(id) {
  const packed = atob(document.getElementById("packed-" + id).textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// The value of a packed JSON text.
async function unpack(id) {
  return JSON.parse(await textOf(id));
}

const libraries = new Map();

// The exports of a packed library.
function library(id) {
  if (!libraries.has(id)) libraries.set(id, importText(id));
  return libraries.get(id);
}

async function importText(id) {
  const blob = new Blob([await textOf(id)], { type: "text/javascript" });
  return import(URL.createObjectURL(blob));
}
