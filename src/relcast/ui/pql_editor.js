// A text area for PQL with its words coloured and its faults underlined, in a layer beneath the text.
// The text itself stays an ordinary text area: Tab leaves it, undo and screen readers work as ever.
const KEYWORDS = new Set(
  ("predict for each where assuming rank top classify forecast timeframes and or not in is null like contains " +
    "starts ends with true false seconds minutes hours days weeks months inf infinity").split(" "),
);
const FUNCTIONS = new Set("sum avg min max count count_distinct first last list_distinct".split(" "));
const TOKENS = /(#[^\n]*|--[^\n]*)|("(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|(`[^`\n]*`?)|(\d+(?:[-/.]\d+)*)|([A-Za-z_]\w*)|([^])/g;

function classOf(match, text) {
  if (match[1]) return "pql-comment";
  if (match[2]) return "pql-str";
  if (match[4]) return "pql-num";
  if (match[5]) {
    const word = match[5].toLowerCase();
    const beside = text[match.index - 1] === "." || text[match.index + word.length] === ".";
    if (beside) return "";
    if (FUNCTIONS.has(word)) return "pql-fn";
    if (KEYWORDS.has(word)) return "pql-kw";
  }
  return "";
}

// Offsets of the 1-based lines and columns of faults; columns count characters, not UTF-16 units.
function rangesOf(text, faults) {
  const starts = [0];
  for (let i = 0; i < text.length; i++) if (text[i] === "\n") starts.push(i + 1);
  return faults.map(({ line, column, length }) => {
    const begin = starts[Math.min(line, starts.length) - 1];
    const ahead = [...text.slice(begin)];
    const from = begin + ahead.slice(0, column - 1).join("").length;
    const to = from + ahead.slice(column - 1, column - 1 + Math.max(1, length)).join("").length;
    return [from, to];
  });
}

export default {
  template: `
    <div class="rc-editor">
      <pre aria-hidden="true"><span v-for="(part, i) in parts" :key="i" :class="part.css">{{ part.text }}</span>{{ "\\n" }}</pre>
      <textarea ref="area" :value="text" @input="onInput" :placeholder="placeholder" :aria-label="label"
        :aria-invalid="faults.length > 0" spellcheck="false" autocapitalize="off" autocomplete="off" rows="5"></textarea>
    </div>`,
  props: { value: String, faults: { type: Array, default: () => [] }, placeholder: String, label: String },
  data() {
    return { text: this.value || "", stale: false };
  },
  watch: {
    value(text) {
      if (text !== this.text) this.text = text;
    },
    faults() {
      this.stale = false;
    },
  },
  computed: {
    parts() {
      const text = this.text;
      // While the text has moved on from what was checked, its marks would stand at a wrong place.
      const ranges = this.stale ? [] : rangesOf(text, this.faults);
      const parts = [];
      for (const match of text.matchAll(TOKENS)) {
        const css = classOf(match, text);
        const cuts = [match.index, match.index + match[0].length];
        for (const edge of ranges.flat()) if (edge > cuts[0] && edge < cuts.at(-1)) cuts.push(edge);
        cuts.sort((a, b) => a - b);
        for (let i = 0; i + 1 < cuts.length; i++) {
          const faulty = ranges.some(([from, to]) => from <= cuts[i] && cuts[i] < to);
          parts.push({ text: text.slice(cuts[i], cuts[i + 1]), css: faulty ? `${css} pql-fault` : css });
        }
      }
      // A fault at the very end has no character to stand under.
      if (ranges.some(([from]) => from >= text.length)) parts.push({ text: " ", css: "pql-fault" });
      return parts;
    },
  },
  methods: {
    onInput(event) {
      this.text = event.target.value;
      this.stale = true;
      this.$emit("update:value", this.text);
    },
    goTo(line, column) {
      const [[from]] = rangesOf(this.text, [{ line, column, length: 1 }]);
      this.$refs.area.focus();
      this.$refs.area.setSelectionRange(from, from);
    },
  },
};
