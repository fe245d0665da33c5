// Where a word was looked at, laid over the picture: `show.heat` in the page.

// The color map inferno, at eleven places.
const INFERNO = [
  [0, 0, 4], [22, 11, 57], [66, 10, 104], [106, 23, 110], [147, 38, 103], [188, 55, 84],
  [221, 81, 58], [243, 120, 25], [252, 165, 10], [246, 215, 70], [252, 255, 164],
];

/** A square map of side^2 numbers stretched to size^2, straight lines between the middles of its cells. */
export function stretched(map, size) {
  const side = Math.sqrt(map.length);
  const within = (i) => Math.min(Math.max(i, 0), side - 1);
  const spot = (pixel) => {
    const at = within(((pixel + 0.5) * side) / size - 0.5);
    return [Math.floor(at), within(Math.floor(at) + 1), at % 1];
  };
  return Float32Array.from({ length: size * size }, (_, i) => {
    const [top, bottom, down] = spot(Math.floor(i / size));
    const [left, right, along] = spot(i % size);
    const across = (row) => (1 - along) * map[row * side + left] + along * map[row * side + right];
    return (1 - down) * across(top) + down * across(bottom);
  });
}

/** The picture in gray, lit up where the map is high, from its own lowest to its own highest value. */
export function lit(picture, map) {
  const heat = stretched(map, Math.sqrt(picture.length / 4));
  const [low, high] = [Math.min(...heat), Math.max(...heat)];
  const shown = new Uint8ClampedArray(picture.length).fill(255);
  heat.forEach((value, i) => {
    const [red, green, blue] = picture.subarray(4 * i, 4 * i + 3);
    const gray = 0.299 * red + 0.587 * green + 0.114 * blue;
    const at = ((value - low) / (high - low || 1)) * (INFERNO.length - 1);
    const [from, to] = [INFERNO[Math.floor(at)], INFERNO[Math.ceil(at)]];
    from.forEach((dark, color) => (shown[4 * i + color] = 0.4 * gray + 0.6 * (dark + (at % 1) * (to[color] - dark))));
  });
  return shown;
}
