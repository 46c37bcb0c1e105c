// The page "Keys".

import { page } from "./shell.js";

page("Keys", []);
