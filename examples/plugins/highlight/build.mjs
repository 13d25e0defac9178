// Makes the component: `node build.mjs OUTPUT.wasm`, in this folder.

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { componentize } from "@bytecodealliance/componentize-js";

const output = resolve(process.argv[2]);
const { component, imports } = await componentize({
  sourcePath: resolve("src/plugin.js"),
  witPath: resolve("wit"),
  worldName: "highlight",
  // Without these the engine imports nothing, so no host has to grant anything.
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
if (imports.length > 0) {
  throw new Error(`the plugin should import nothing, but imports ${JSON.stringify(imports)}`);
}
await mkdir(dirname(output), { recursive: true });
await writeFile(output, component);
