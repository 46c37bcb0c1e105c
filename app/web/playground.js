// The page "Playground".

import { page } from "./shell.js";

page("Playground", []);
