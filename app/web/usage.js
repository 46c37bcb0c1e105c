// The page "Usage".

import { page } from "./shell.js";

page("Usage", []);
