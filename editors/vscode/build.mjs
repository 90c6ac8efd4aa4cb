// Puts the extension and the libraries that it uses into one file, and their licences beside it.
import { build } from "esbuild";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
process.chdir(here);
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["extension.js"],
  outfile: "dist/extension.js",
  bundle: true,
  minify: true,
  metafile: true,
  platform: "node",
  target: "node18",
  external: ["vscode"],
});

const folders = Object.keys(metafile.inputs)
  .map((path) => path.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1])
  .filter((folder) => folder !== undefined);
const notices = [...new Set(folders)].sort().map((folder) => {
  const name = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  if (name === undefined) {
    throw new Error(`${folder} has no licence to pass on`);
  }
  return `${folder.replace(/^.*node_modules\//, "")}\n\n${readFileSync(`${folder}/${name}`, "utf8")}`;
});
writeFileSync("dist/LICENSES.txt", notices.join("\n----\n\n"));
copyFileSync("../../LICENSE", "LICENSE");
