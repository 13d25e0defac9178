// Makes the component: `node build.mjs OUTPUT.wasm`, in this folder.

import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { chdir } from "node:process";
import { componentize } from "@bytecodealliance/componentize-js";

const output = resolve(process.argv[2]);
const witPath = resolve("wit");
// The engine's picture of its memory has the names of the folders that it was taken in. So it is taken in a temporary
// one, which says nothing of whoever builds this.
const folder = await mkdtemp(join(tmpdir(), "plugin-"));
await cp("src", join(folder, "src"), { recursive: true });
chdir(folder);
try {
  const { component, imports } = await componentize({
    sourcePath: "src/plugin.js",
    witPath,
    worldName: "highlight",
    // Without these the engine imports nothing, so no host has to grant anything.
    disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
  });
  if (imports.length > 0) {
    throw new Error(`the plugin should import nothing, but imports ${JSON.stringify(imports)}`);
  }
  await mkdir(dirname(output), { recursive: true });
  await writeFile(output, component);
} finally {
  await rm(folder, { recursive: true });
}
