// The first page: what this is, whether it works, and how to call it.

import { page } from "./shell.js";

page("Spillway", []);
