// The waiting page: opens the platform in a window, asks each second whether the login is done, and
// then goes where the answer says. Without this script the page's link and buttons do the same.
"use strict";

(() => {
  const at = (id) => document.getElementById(id);
  const page = at("login");
  const open = at("open");
  const stop = at("stop");
  const deadline = Date.now() + Number(page.dataset.deadlineSeconds) * 1000;
  const second = 1000;
  // No answer in this time is no answer.
  const patience = 15 * second;
  // Of this window alone, so that two tabs open two windows.
  const name = `ib_login_${crypto.getRandomValues(new Uint32Array(2)).join("_")}`;
  let popup = null;
  let timer = null;
  let asking = false;
  let askAgain = false;
  let over = false;
  let words = at("progress").textContent;

  const show = (text) => {
    if (at("progress").textContent !== text) {
      at("progress").textContent = text;
    }
  };

  const say = (text) => {
    words = text;
    show(text);
  };

  const hide = (...ids) => ids.forEach((id) => (at(id).hidden = true));

  const end = (state, text) => {
    over = true;
    clearTimeout(timer);
    page.dataset.state = state;
    say(text);
    hide("link", "continue", "stop");
  };

  const closePopup = () => {
    if (popup && !popup.closed) {
      popup.close();
    }
  };

  // There is no way on from here but a new beginning.
  const leaveOff = (state, text, problem = "") => {
    end(state, text);
    at("problem").textContent = problem;
    const again = at("again").querySelector("button");
    again.className = "";
    again.focus();
  };

  const arrive = (url) => {
    end("done", "You are logged in. You are being sent back to the application.");
    hide("again");
    closePopup();
    // An application outside of the browser may open without this page going away.
    at("return").href = url;
    at("done").hidden = false;
    location.replace(url);
  };

  // Asks once. The answer is the time until the next question, or nothing if there is none.
  const poll = async () => {
    const response = await fetch(page.dataset.poll, {
      headers: { accept: "application/json" },
      cache: "no-store",
      signal: AbortSignal.timeout(patience),
    });
    const answer = await response.json();
    if (over) {
      return null;
    }
    if (response.ok) {
      arrive(answer.redirect_url);
      return null;
    }
    if (response.status === 400) {
      leaveOff("failed", "", `${answer.error_description}.`);
      return null;
    }
    if (response.status === 404) {
      show(words);
      return second;
    }
    show("The service is busy. This page keeps asking.");
    return Math.max(1, Number(response.headers.get("retry-after")) || 1) * second;
  };

  const ask = async () => {
    if (over) {
      return;
    }
    if (asking) {
      askAgain = true;
      return;
    }
    asking = true;
    askAgain = false;
    clearTimeout(timer);
    let wait = second;
    try {
      wait = await poll();
    } catch {
      // The network may come back: the next question will tell.
      if (!over) {
        show("The connection is interrupted. This page keeps asking.");
      }
    }
    asking = false;
    if (over) {
      return;
    }
    if (Date.now() >= deadline) {
      closePopup();
      leaveOff("failed", "", "The login took too long. Begin again when you are ready.");
      return;
    }
    timer = setTimeout(ask, askAgain ? 0 : wait);
  };

  open.addEventListener("click", (event) => {
    if (popup && !popup.closed) {
      event.preventDefault();
      popup.focus();
      return;
    }
    // Inside the click, or the browser blocks the window; where it does, the link opens a tab.
    popup = window.open(open.href, name, "popup,width=800,height=600");
    page.dataset.state = "open";
    if (popup) {
      event.preventDefault();
      say("Finish your login in the new window. This page then continues by itself.");
    } else {
      say("Finish your login in the new tab. Then come back here: this page continues by itself.");
      at("continue").hidden = false;
    }
    open.textContent = "Open IntelligenceBank again";
    open.classList.add("second");
  });

  stop.addEventListener("click", () => {
    closePopup();
    leaveOff("stopped", "You stopped waiting. The application was given nothing.");
  });

  window.addEventListener("message", (event) => {
    const finished = event.data === "login_complete" || event.data?.type === "login_complete";
    if (event.origin === page.dataset.platform && finished) {
      ask();
    }
  });

  // Browsers slow the timers of pages that nobody sees.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      ask();
    }
  });

  // This script presses the button, so to speak, each second. Whoever pressed it themselves is told to press it
  // again, and keeps it.
  if (page.dataset.continued === undefined) {
    hide("continue");
  }
  stop.hidden = false;
  page.dataset.state = "waiting";
  ask();
})();
