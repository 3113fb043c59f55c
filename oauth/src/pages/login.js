// The waiting page: opens the platform in a window, asks each second whether the login is done, and
// then goes where the answer says. Without this script the page's link and button do the same.
"use strict";

(() => {
  const page = document.getElementById("login");
  const link = document.getElementById("open");
  const progress = document.getElementById("progress");
  const ways = [document.getElementById("link"), document.getElementById("continue")];
  const platform = page.dataset.platform;
  const deadline = Date.now() + Number(page.dataset.deadlineSeconds) * 1000;
  let popup = null;
  let timer = null;
  let asking = false;
  let over = false;

  const say = (text) => {
    progress.textContent = text;
  };

  const end = (text) => {
    over = true;
    clearTimeout(timer);
    say(text);
  };

  // There is no way on from here: what would lead to one goes.
  const fail = (text) => {
    end(text);
    progress.className = "problem";
    ways.forEach((way) => {
      way.hidden = true;
    });
  };

  const ask = async () => {
    if (asking || over) {
      return;
    }
    if (Date.now() > deadline) {
      fail("The login took too long. Go back to the application and begin again.");
      return;
    }
    asking = true;
    clearTimeout(timer);
    try {
      const response = await fetch(page.dataset.poll, {
        headers: { accept: "application/json" },
        cache: "no-store",
      });
      const answer = await response.json();
      if (response.ok) {
        end("You are logged in. One moment.");
        if (popup) {
          popup.close();
        }
        location.replace(answer.redirect_url);
      } else if (response.status === 400) {
        fail(`${answer.error_description}.`);
      }
    } catch {
      // The network may come back: the next question will tell.
    }
    asking = false;
    if (!over) {
      timer = setTimeout(ask, 1000);
    }
  };

  link.addEventListener("click", (event) => {
    if (over) {
      event.preventDefault();
      return;
    }
    // Inside the click, or the browser blocks the window; where it does, the link opens a tab.
    popup = window.open(link.href, "ib_login", "popup,width=800,height=600");
    if (popup) {
      event.preventDefault();
      say("Finish your login in the new window. This page then continues by itself.");
    }
  });

  window.addEventListener("message", (event) => {
    const finished = event.data === "login_complete" || event.data?.type === "login_complete";
    if (event.origin === platform && finished) {
      ask();
    }
  });

  ask();
})();
