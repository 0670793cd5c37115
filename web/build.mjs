// Bundles src/ into dist/, gzipped: the files that the server embeds. Prints their sizes.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const LIMIT_BYTES = 280 * 1024;

const result = await build({
  entryPoints: { app: "src/main.js", style: "src/style.css" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  write: false,
});

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
let total = 0;
function put(name, bytes) {
  const packed = gzipSync(bytes, { level: 9 });
  writeFileSync(`dist/${name}.gz`, packed);
  total += packed.length;
  console.log(`  ${name}: ${packed.length} bytes gzipped`);
}
for (const file of result.outputFiles) put(file.path.split("/").pop(), file.contents);
put("index.html", readFileSync("src/index.html"));
if (total > LIMIT_BYTES) throw new Error(`the page weighs ${total} bytes, over ${LIMIT_BYTES}`);
