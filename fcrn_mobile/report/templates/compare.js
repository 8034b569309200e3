"use strict";
/* Gives a scene its slider and its reading under the pointer; done when all values can be read. */
const compareScene = (scene) => {
  const reading = scene.querySelector(".reading");
  const hint = reading.textContent;
  const pictures = [...scene.querySelectorAll(".strip img")];
  const reference = pictures.find((picture) => picture.dataset.role === "reference");
  const maps = pictures.filter((picture) => picture.dataset.values).map((picture) => {
    const map = { ...picture.dataset, low: Number(picture.dataset.low), span: Number(picture.dataset.span), pixels: null };
    const stored = new Image();
    map.loaded = new Promise((resolve) => { stored.addEventListener("load", resolve); }).then(() => {
      const canvas = document.createElement("canvas");
      canvas.width = stored.naturalWidth;
      canvas.height = stored.naturalHeight;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(stored, 0, 0);
      map.pixels = context.getImageData(0, 0, canvas.width, canvas.height);
      scene.dataset.ready = maps.every((other) => other.pixels);
    });
    stored.src = map.values;
    return map;
  });

  const valueAt = (map, x, y) => {
    const { width, height, data } = map.pixels;
    const at = 4 * (Math.min(height - 1, Math.floor(y * height)) * width + Math.min(width - 1, Math.floor(x * width)));
    return data[at + 2] ? map.low + map.span * (256 * data[at] + data[at + 1]) / 65535 : null;
  };
  const read = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    if (x < 0 || y < 0 || x >= 1 || y >= 1 || !maps.every((map) => map.pixels)) return;
    reading.textContent = maps.map((map) => {
      const value = valueAt(map, x, y);
      return map.name + ": " + (value === null ? "unknown" : value.toFixed(3) + map.unit);
    }).join("; ");
  };
  for (const picture of pictures) {
    picture.addEventListener("pointermove", read);
    picture.addEventListener("pointerdown", read);
    picture.addEventListener("pointerleave", () => { reading.textContent = hint; });
  }
  reading.hidden = false;

  for (const seen of pictures.filter((picture) => picture.dataset.role === "candidate")) {
    const stack = document.createElement("span"), over = new Image(), slider = document.createElement("input");
    stack.className = "stack";
    over.src = reference.src;
    over.alt = "";
    over.className = "over";
    over.style.aspectRatio = seen.style.aspectRatio;
    Object.assign(slider, { type: "range", min: 0, max: 100, value: 0 });
    slider.setAttribute("aria-label", "Percent of the reference over " + seen.dataset.name + ", from the left");
    const move = () => { over.style.clipPath = "inset(0 " + (100 - slider.value) + "% 0 0)"; };
    seen.replaceWith(stack);
    stack.append(seen, over);
    stack.after(slider);
    slider.addEventListener("input", move);
    move();
  }
  return Promise.all(maps.map((map) => map.loaded));
};
document.querySelectorAll(".scene").forEach(compareScene);
