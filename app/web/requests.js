// The page "Requests".

import { page } from "./shell.js";

page("Requests", []);
