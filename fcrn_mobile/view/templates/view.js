const part = (id) => document.getElementById(id);
const pointer = { x: -1, y: -1 };

/* Asks the server for something; what it refuses is shown, and gives null. */
const ask = async (address, body) => {
  document.body.classList.add("busy");
  try {
    const answer = await fetch(address, { method: "POST", body });
    if (answer.ok) {
      part("problem").hidden = true;
      return answer;
    }
    throw new Error(answer.status === 422 ? await answer.text() : "the tool failed; its terminal says why");
  } catch (error) {
    part("problem").textContent = error instanceof TypeError ? "the tool does not answer: start it once more" : error.message;
    part("problem").hidden = false;
    return null;
  } finally {
    document.body.classList.remove("busy");
  }
};

/* What the models see; sliders and pointer stay as they were. */
const look = async (address, body) => {
  const answer = await ask(address, body);
  if (!answer) return false;
  const sliders = [...part("sight").querySelectorAll("input")].map((slider) => slider.value);
  part("sight").innerHTML = await answer.text();
  const readable = compareScene(part("sight").querySelector(".scene"));
  part("sight").querySelectorAll("input").forEach((slider, index) => {
    slider.value = sliders[index] ?? 0;
    slider.dispatchEvent(new Event("input"));
  });
  await readable;
  document.elementFromPoint(pointer.x, pointer.y)?.dispatchEvent(
    new PointerEvent("pointermove", { clientX: pointer.x, clientY: pointer.y }));
  part("space").hidden = false;
  for (const stale of ["points", "ply"]) if (part(stale)) part(stale).hidden = true;
  const degrees = part("sight").firstElementChild.dataset.fov;
  if (degrees && part("fov")) part("fov").value = Number(degrees).toFixed(1);
  return true;
};
const sight = () => part("sight").firstElementChild.dataset.sight;
const send = (file, name) => look("/picture?name=" + encodeURIComponent(name), file);

document.addEventListener("pointermove", (event) => { if (event.isTrusted) Object.assign(pointer, { x: event.clientX, y: event.clientY }); });
part("frame").addEventListener("change", () => look("/frame/" + part("frame").value));
part("file").addEventListener("change", () => { if (part("file").files.length) send(part("file").files[0], part("file").files[0].name); });
document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) send(file, file.name);
});

/* One frame of the webcam after the other, each when the last one was seen. */
const watch = async () => {
  const video = part("video"), canvas = document.createElement("canvas");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    await video.play();
  } catch (error) {
    part("problem").textContent = "no webcam: " + error.message;
    part("problem").hidden = false;
    return;
  }
  part("webcam").setAttribute("aria-pressed", "true");
  video.hidden = false;
  let goes = true;
  while (goes && part("webcam").getAttribute("aria-pressed") === "true") {
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    const file = await new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.92); });
    goes = await send(file, "webcam");
  }
  part("webcam").setAttribute("aria-pressed", "false");
  video.srcObject.getTracks().forEach((track) => track.stop());
  video.hidden = true;
};
part("webcam").addEventListener("click", () => {
  if (part("webcam").getAttribute("aria-pressed") === "true") part("webcam").setAttribute("aria-pressed", "false");
  else watch();
});

part("cloud")?.addEventListener("click", async () => {
  const degrees = part("fov").value;
  const answer = await ask("/cloud/" + sight() + "/" + part("by").value + "?fov=" + encodeURIComponent(degrees));
  if (!answer) return;
  const file = await answer.arrayBuffer();
  part("points").hidden = false;
  drawCloud(part("points"), file, Number(degrees));
  URL.revokeObjectURL(part("ply").href);
  part("ply").href = URL.createObjectURL(new Blob([file]));
  part("ply").hidden = false;
});

for (const graph of document.querySelectorAll("details.graph")) {
  const fill = async (address) => {
    const answer = await ask(address);
    if (!answer) return;
    graph.lastElementChild.innerHTML = await answer.text();
    graph.querySelector("button.drift")?.addEventListener("click", () => fill("/graph/" + graph.dataset.model + "/" + sight()));
  };
  graph.addEventListener("toggle", () => { if (graph.open && !graph.lastElementChild.childElementCount) fill("/graph/" + graph.dataset.model); });
}

if (part("frame").value) look("/frame/" + part("frame").value);
