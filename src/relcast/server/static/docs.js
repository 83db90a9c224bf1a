// Shows /api/openapi.json. Everything is set as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, properties, ...children) {
  const made = document.createElement(name);
  Object.assign(made, properties || {});
  made.append(...children.filter((child) => child !== null));
  return made;
}

function resolve(document_, schema, depth = 0) {
  if (!schema || depth > 4) return {};
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return resolve(document_, document_.components.schemas[name], depth + 1);
  }
  return schema;
}

function sample(document_, schema, depth = 0) {
  const found = resolve(document_, schema);
  if (found.examples && found.examples.length) return found.examples[0];
  if (found.default !== undefined) return found.default;
  if (found.const !== undefined) return found.const;
  if (found.enum) return found.enum[0];
  const either = found.oneOf || found.anyOf;
  if (either) return sample(document_, either[0], depth + 1);
  if (found.type === "object" || found.properties) {
    if (depth > 3) return {};
    const entries = Object.entries(found.properties || {}).map(([name, inner]) => [
      name,
      sample(document_, inner, depth + 1),
    ]);
    return Object.fromEntries(entries);
  }
  if (found.type === "array") return depth > 3 ? [] : [sample(document_, found.items, depth + 1)];
  return { string: "…", integer: 0, number: 0, boolean: false }[found.type] ?? null;
}

function bodyOf(document_, operation) {
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  if (!content) return null;
  const named = content.examples && Object.values(content.examples)[0];
  return named ? named.value : sample(document_, content.schema);
}

function curl(document_, method, path, operation) {
  const lines = [`curl -sS ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${location.origin}${path}`];
  if ((operation.security || []).length) lines.push(`-H "X-API-Key: $RELCAST_API_KEY"`);
  const body = bodyOf(document_, operation);
  if (body !== null) {
    lines.push(`-H "Content-Type: application/json"`);
    lines.push(`-d '${JSON.stringify(body, null, 2)}'`);
  }
  return lines.join(" \\\n  ");
}

function answers(document_, operation) {
  const rows = Object.entries(operation.responses || {}).map(([status, answer]) =>
    element("tr", {}, element("td", {}, element("code", { textContent: status })),
      element("td", { textContent: answer.description || "" })));
  return element("table", {}, ...rows);
}

function parameters(operation) {
  const listed = operation.parameters || [];
  if (!listed.length) return null;
  const rows = listed.map((p) =>
    element("tr", {}, element("td", {}, element("code", { textContent: p.name })),
      element("td", { textContent: `${p.in}${p.required ? ", required" : ""}` }),
      element("td", { textContent: p.description || "" })));
  return element("table", {}, ...rows);
}

function operationBox(document_, method, path, operation) {
  const good = Object.entries(operation.responses || {}).find(([status]) => status.startsWith("2"));
  const content = good && good[1].content && good[1].content["application/json"];
  const shown = content && (content.example ?? (content.schema ? sample(document_, content.schema) : null));
  const box = element("details", { id: operation.operationId },
    element("summary", {},
      element("span", { className: "method", textContent: method.toUpperCase() }),
      element("span", { className: "path", textContent: path }),
      element("span", { className: "says", textContent: operation.summary || "" })));
  box.addEventListener("toggle", () => {
    if (!box.open || box.dataset.filled) return;
    box.dataset.filled = "yes";
    box.append(element("div", {},
      operation.description ? element("p", { textContent: operation.description }) : null,
      element("p", {}, "Scope: ", element("code", { textContent: operation["x-scope"] || "" })),
      parameters(operation),
      element("pre", { textContent: curl(document_, method, path, operation) }),
      answers(document_, operation),
      shown !== null && shown !== undefined
        ? element("pre", { textContent: JSON.stringify(shown, null, 2) }) : null));
  });
  box.dataset.words = `${method} ${path} ${operation.summary || ""} ${operation.operationId}`.toLowerCase();
  return box;
}

function show(document_) {
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS) {
      const operation = item[method];
      if (!operation) continue;
      const tag = (operation.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operationBox(document_, method, path, operation));
    }
  }
  const sections = [...groups].map(([tag, boxes]) =>
    element("section", {}, element("h2", { textContent: tag }), ...boxes));
  document.getElementById("operations").replaceChildren(...sections);
  document.getElementById("find").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of sections) {
      let any = false;
      for (const box of section.querySelectorAll("details")) {
        box.hidden = !words.every((word) => box.dataset.words.includes(word));
        any = any || !box.hidden;
      }
      section.hidden = !any;
    }
  });
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
}

fetch("/api/openapi.json", { credentials: "same-origin" })
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`HTTP ${answer.status}`))))
  .then(show)
  .catch((error) => {
    document.getElementById("wait").textContent = `The document cannot be read: ${error.message}`;
  });
