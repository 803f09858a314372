// SPDX-License-Identifier: BSD-2-Clause
// A short film for a fake camera: somebody in front of a window, drawn by arithmetic, with the grain of a cheap sensor.
import { closeSync, openSync, writeSync } from 'node:fs';

const WIDTH = 640;
const HEIGHT = 360;
const FRAMES = 12;
const RATE = 15;

const mix = (a, b, t) => a.map((value, i) => value + (b[i] - value) * Math.min(Math.max(t, 0), 1));

// 0 outside, 1 inside, soft at the edge of the ellipse.
const ellipse = (x, y, cx, cy, rx, ry) => {
  const distance = Math.hypot((x - cx) / rx, (y - cy) / ry);
  return Math.min(Math.max((1 - distance) * 28, 0), 1);
};

const box = (x, y, left, top, right, bottom) => x > left && x < right && y > top && y < bottom;

function colourAt(x, y, look, sway) {
  const { wall, light, skin, hair, cloth, side } = look;
  const left = side > 0 ? 0.06 : 0.7;
  let colour = mix(wall, light, 0.55 - Math.hypot(x - left - 0.12, y - 0.3) * 0.9);
  if (box(x, y, left, 0.08, left + 0.24, 0.6) && Math.abs(x - left - 0.12) > 0.006 && Math.abs(y - 0.33) > 0.01)
    colour = mix(light, [255, 255, 255], 0.6 - y * 0.5);
  const middle = 0.5 + sway;
  const shade = (tone) => mix(tone, tone.map((value) => value * 0.72), (x - middle) * side * 3 + 0.45);
  // In the picture's own proportions: 16 by 9.
  const wide = (cx, cy, rx, ry) => ellipse(x, y, cx, cy, rx * 0.5625, ry);
  colour = mix(colour, shade(hair), wide(middle, 0.38, 0.235, 0.27));
  colour = mix(colour, shade(cloth), wide(middle, 1.13, 0.52, 0.42));
  colour = mix(colour, shade(skin), wide(middle, 0.68, 0.085, 0.14));
  colour = mix(colour, shade(skin), wide(middle, 0.44, 0.175, 0.235));
  return mix(colour, shade(hair), wide(middle, 0.235, 0.2, 0.09));
}

function frame(look, number) {
  const luma = Buffer.alloc(WIDTH * HEIGHT);
  const [blue, red] = [Buffer.alloc((WIDTH * HEIGHT) / 4), Buffer.alloc((WIDTH * HEIGHT) / 4)];
  const sway = 0.004 * Math.sin((2 * Math.PI * number) / FRAMES);
  let grain = number + 1;
  for (let row = 0; row < HEIGHT; row += 1) {
    for (let column = 0; column < WIDTH; column += 1) {
      const [r, g, b] = colourAt(column / WIDTH, row / HEIGHT, look, sway);
      grain = (grain * 1103515245 + 12345) & 0x7fffffff;
      luma[row * WIDTH + column] = 16 + 0.257 * r + 0.504 * g + 0.098 * b + ((grain >> 16) % 5) - 2;
      if ((row | column) & 1) continue;
      const at = (row / 2) * (WIDTH / 2) + column / 2;
      blue[at] = 128 - 0.148 * r - 0.291 * g + 0.439 * b;
      red[at] = 128 + 0.439 * r - 0.368 * g - 0.071 * b;
    }
  }
  return [luma, blue, red];
}

export const LOOKS = {
  ada: {
    wall: [112, 86, 84], light: [250, 226, 190], skin: [226, 178, 148], hair: [62, 40, 36], cloth: [40, 84, 92], side: 1,
  },
  grace: {
    wall: [62, 88, 96], light: [214, 232, 228], skin: [150, 102, 78], hair: [34, 28, 30], cloth: [196, 122, 62], side: -1,
  },
};

export function film(file, look) {
  const output = openSync(file, 'w');
  writeSync(output, `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${RATE}:1 Ip A1:1 C420jpeg\n`);
  for (let number = 0; number < FRAMES; number += 1) {
    writeSync(output, 'FRAME\n');
    for (const plane of frame(look, number)) writeSync(output, plane);
  }
  closeSync(output);
}
