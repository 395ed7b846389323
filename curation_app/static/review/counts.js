// Counts in words.

export function number(value) {
  return value.toLocaleString("en");
}

export function plural(count, noun) {
  return number(count) + " " + noun + (count === 1 ? "" : "s");
}
