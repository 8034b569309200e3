/* A point cloud, from the PLY that the server sends, on a canvas. Returns what draws it anew. */
const drawCloud = (canvas, file, degrees) => {
  const head = new TextDecoder("latin1").decode(new Uint8Array(file, 0, Math.min(1024, file.byteLength)));
  const start = head.indexOf("end_header\n") + "end_header\n".length;
  const count = Number(/element vertex (\d+)/.exec(head)[1]), vertex = 15;
  const data = new DataView(file, start);
  const at = new Float32Array(3 * count), colours = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) {
    for (let axis = 0; axis < 3; axis += 1) at[3 * i + axis] = data.getFloat32(i * vertex + 4 * axis, true);
    const [red, green, blue] = [12, 13, 14].map((place) => data.getUint8(i * vertex + place));
    colours[i] = (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
  }
  const depths = Float32Array.from({ length: count }, (_, i) => at[3 * i + 2]).sort();
  const pivot = count ? depths[count >> 1] : 1;
  const width = canvas.width = 760, height = canvas.height = 570;
  const focal = width / 2 / Math.tan(degrees * Math.PI / 360);
  const dot = Math.max(2, Math.min(9, Math.ceil(1.2 * width / Math.sqrt(count || 1))));
  const context = canvas.getContext("2d");
  const view = { yaw: 0.35, pitch: -0.2, back: 1.25 };

  const draw = () => {
    const picture = context.createImageData(width, height), pixels = new Uint32Array(picture.data.buffer);
    const nearest = new Float32Array(width * height).fill(Infinity);
    const [sy, cy, sp, cp] = [Math.sin(view.yaw), Math.cos(view.yaw), Math.sin(view.pitch), Math.cos(view.pitch)];
    for (let i = 0; i < count; i += 1) {
      const x = at[3 * i], y = at[3 * i + 1], z = at[3 * i + 2] - pivot;
      const turned = cy * z - sy * x, across = cy * x + sy * z;
      const down = cp * y - sp * turned, away = sp * y + cp * turned + pivot * view.back;
      if (away <= 0.05 * pivot) continue;
      const column = Math.round(width / 2 + focal * across / away), row = Math.round(height / 2 + focal * down / away);
      for (let v = Math.max(0, row); v < Math.min(height, row + dot); v += 1) {
        for (let u = Math.max(0, column); u < Math.min(width, column + dot); u += 1) {
          if (away < nearest[v * width + u]) {
            nearest[v * width + u] = away;
            pixels[v * width + u] = colours[i];
          }
        }
      }
    }
    context.putImageData(picture, 0, 0);
  };

  canvas.onpointerdown = (event) => canvas.setPointerCapture(event.pointerId);
  canvas.onpointermove = (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    view.yaw -= event.movementX / 200;
    view.pitch += event.movementY / 200;
    draw();
  };
  canvas.onwheel = (event) => {
    event.preventDefault();
    view.back = Math.min(4, Math.max(0.3, view.back * Math.exp(event.deltaY / 800)));
    draw();
  };
  canvas.onkeydown = (event) => {
    const turn = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
    if (!turn) return;
    event.preventDefault();
    view.yaw += turn[0];
    view.pitch += turn[1];
    draw();
  };
  draw();
};
