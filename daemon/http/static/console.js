// Starts the console's modules; each finds its elements by their data attributes.
import { startCalls } from "./calls.js";
import { startClock } from "./clock.js";
import { startCountdowns } from "./countdowns.js";
import { startDialogs } from "./dialogs.js";
import { startImports } from "./imports.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startManual } from "./manual.js";
import { startMenus } from "./menus.js";
import { startMorphing } from "./morph.js";
import { startPhoneReveal } from "./phone-reveal.js";
import { startPreferences } from "./preferences.js";
import { startReview } from "./review.js";

startClock();
startPreferences();
startMenus();
startDialogs();
startCalls();
startPhoneReveal();
startMorphing();
startKeys();
startCountdowns();
startImports();
startManual();
startReview();
startLive();
