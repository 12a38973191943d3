/* The picture: what the decoder did with the file, step by step. */
function showPicture() {
  for (const step of data.picture.steps)
    byId("picture-steps").append(
      el(
        "figure",
        {},
        el("img", { src: step.image, alt: `${step.title}: ${data.picture.name}`, class: step.small ? "small" : false }),
        el("figcaption", {}, el("b", {}, step.title), step.text),
      ),
    );
}
