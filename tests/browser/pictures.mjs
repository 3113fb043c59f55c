// Pictures of the pages, where somebody wants them.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** What keeps a picture of the page under a name, in the folder that IB_GATEWAY_PICTURES names. */
export function keepPicture(page) {
  const folder = process.env.IB_GATEWAY_PICTURES;
  if (!folder) {
    return undefined;
  }
  mkdirSync(folder, { recursive: true });
  return (name) => page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
