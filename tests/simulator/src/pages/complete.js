// Tells whoever opened or framed this page that the login is done. The platform does not know the
// origin of that page, and the message holds nothing secret, so it may go to any origin. The
// receiver has to check `event.origin` and `event.source`.
"use strict";

if (window.opener) {
  window.opener.postMessage("login_complete", "*");
}
if (window.parent !== window) {
  window.parent.postMessage("login_complete", "*");
}
