// The page "Models".

import { page } from "./shell.js";

page("Models", []);
