// On every page of the book; does nothing where there is no place to draw.

const places = document.querySelectorAll(".difflab-live");
if (places.length) {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL("live.css", import.meta.url);
  document.head.append(style);
  import("./page.mjs").then(({ furnish }) => furnish([...places]));
}
