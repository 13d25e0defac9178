// tuf-js as a client of a registry: client.mjs ROOT STATE URL [PATH...], with the folder of its packages in STOA_TUF_JS.
//
// What goes in and comes out is as in client.py.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// A module of this kind looks for packages beside itself alone, and they lie in a cache.
const { Updater } = createRequire(join(process.env.STOA_TUF_JS, "..", "client.js"))("tuf-js");

async function got(updater, path) {
  const info = await updater.getTargetInfo(path);
  if (info === undefined) return null;
  return createHash("sha256").update(readFileSync(await updater.downloadTarget(info))).digest("hex");
}

async function main(root, state, url, ...paths) {
  const [metadataDir, targetDir] = ["metadata", "targets"].map((name) => join(state, name));
  for (const folder of [metadataDir, targetDir]) mkdirSync(folder, { recursive: true });
  // What it trusts first is what lies there.
  const trusted = join(metadataDir, "root.json");
  if (!existsSync(trusted)) copyFileSync(root, trusted);
  const found = {};
  try {
    const config = { fetchRetry: 0 };
    const updater = new Updater({
      metadataDir,
      metadataBaseUrl: `${url}/trust`,
      targetDir,
      targetBaseUrl: url,
      config,
    });
    await updater.refresh();
    for (const path of paths) found[path] = await got(updater, path);
  } catch (error) {
    // Its own classes; anything else is a fault of this script.
    if (!/(Error|Mismatch)$/.test(error.constructor.name) || [Error, TypeError, ReferenceError].includes(error.constructor)) throw error;
    return { refused: error.constructor.name, message: error.message };
  }
  const version = (role) => JSON.parse(readFileSync(join(metadataDir, `${role}.json`))).signed.version;
  const versions = Object.fromEntries(["root", "timestamp", "snapshot"].map((role) => [role, version(role)]));
  return { versions, targets: found };
}

console.log(JSON.stringify(await main(...process.argv.slice(2))));
