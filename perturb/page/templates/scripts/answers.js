// Single images with their class and the models' answers.

const FIRST_CARDS = 8;

function className(facts, image, number) {
  return facts.classes[image.dataset]?.[number] ?? "class " + number;
}

function answerText(facts, image, model) {
  const place = facts.models.indexOf(model.id);
  const [answer, confidence] = [image.predictions[place], image.confidences[place]];
  if (answer === null || answer === undefined) return null;
  const sure = confidence === null ? "" : `, ${Math.round(100 * confidence)} % sure`;
  // Classes of a model may be finer than those of the images.
  const isRight = image.is_correct ? Boolean(image.is_correct[place]) : answer === image.target;
  return { is_right: isRight, text: className(facts, image, answer) + sure };
}

function answerLine(facts, image, model) {
  const answer = answerText(facts, image, model);
  if (!answer) return "";
  const mark = answer.is_right ? "right" : "wrong";
  return make("li", { class: mark }, make("span", { class: "who" }, model.name + ": "),
    `${answer.text} (${mark})`);
}

// A picture, the truth, and the answers of some models.
function imageCard(facts, number, models, titles) {
  const image = facts.images[number];
  const truth = className(facts, image, image.target);
  return make("figure", { class: "card" },
    tile("disagreements", facts, number, `Image of ${truth}, ${titles[image.dataset] ?? image.dataset}`),
    make("figcaption", {}, make("strong", {}, truth), make("span", { class: "quiet" }, titles[image.dataset] ?? image.dataset),
      make("ul", {}, ...models.map((model) => answerLine(facts, image, model)))));
}

// How many images only the first, and only the second of two models has right.
function rightAlone(facts, a, b) {
  const sums = [0, 0];
  for (const [one, other, oneRight, otherRight] of facts.pairs) {
    const turned = one === b.id && other === a.id;
    if (!turned && !(one === a.id && other === b.id)) continue;
    sums[0] += turned ? otherRight : oneRight;
    sums[1] += turned ? oneRight : otherRight;
  }
  return sums;
}

// The first cards, and a button that shows the others.
function showCards(place, cards) {
  const others = cards.slice(FIRST_CARDS);
  place.replaceChildren(...cards.slice(0, FIRST_CARDS));
  if (!others.length) return;
  const button = make("button", { type: "button" }, `Show ${others.length} more`);
  button.addEventListener("click", () => button.replaceWith(...others));
  place.append(button);
}

async function showDisagreements(section, a, b) {
  const place = section.querySelector("#compare-images");
  if (!place) return;
  const [facts, { datasets: titles }] = await Promise.all([unpack("disagreements"), unpack("names")]);
  await sprite("disagreements");
  const isRight = (image, model) => answerText(facts, image, model)?.is_right;
  const numbers = facts.images.map((image, number) => number).filter((number) => {
    const [one, other] = [isRight(facts.images[number], a), isRight(facts.images[number], b)];
    return one !== undefined && other !== undefined && one !== other;
  });
  const sums = rightAlone(facts, a, b);
  section.querySelector("#compare-count").textContent =
    `Of all images of the test sets, ${sums[0]} are answered rightly by ${a.name} alone, and ${sums[1]} by ${b.name} alone. ` +
    (numbers.length ? `${numbers.length} of these were chosen for this page.` : "None of these was chosen for this page.");
  showCards(place, numbers.map((number) => imageCard(facts, number, [a, b], titles)));
}

async function showWorst(section, model) {
  const place = section.querySelector("#model-images");
  if (!place) return;
  const [facts, { datasets: titles }] = await Promise.all([unpack("disagreements"), unpack("names")]);
  await sprite("disagreements");
  const numbers = facts.worst[model.id] ?? [];
  section.querySelector("#model-worst").textContent = numbers.length
    ? "Its wrong answers of which it was most sure:" : "It has no wrong answer on them.";
  place.replaceChildren(...numbers.map((number) => imageCard(facts, number, [model], titles)));
}
