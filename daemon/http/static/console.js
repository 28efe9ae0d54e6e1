// Starts the console: each module does one thing, and knows the page by its data attributes.
import { startCalls } from "./calls.js";
import { startClock } from "./clock.js";
import { startDialogs } from "./dialogs.js";
import { startImports } from "./imports.js";
import { startKeeping } from "./keep.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startManual } from "./manual.js";
import { startMenus } from "./menus.js";
import { startNumbers } from "./numbers.js";
import { startPreferences } from "./preferences.js";
import { startReview } from "./review.js";
import { startRings } from "./rings.js";

startClock();
startPreferences();
startMenus();
startDialogs();
startCalls();
startNumbers();
startKeeping();
startKeys();
startRings();
startImports();
startManual();
startReview();
startLive();
