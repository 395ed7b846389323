// Who is signed in, and signing out, on every page; where there are no accounts it shows nothing.
// Where the server refuses all that a page asks, as behind a proxy nobody named, it says why.

const answer = await fetch(new URL("api/status", document.baseURI), { method: "POST" })
  .then((response) => response.json())
  .catch(() => null);

if (answer?.ok && answer.sign_in && answer.reviewer) {
  const form = document.createElement("form");
  form.className = "shared-session";
  form.method = "post";
  form.action = new URL("sign-out", document.baseURI).href;
  const name = document.createElement("span");
  name.dir = "auto";
  name.textContent = answer.reviewer + (answer.role === "lead" ? " · lead" : "");
  const button = document.createElement("button");
  button.type = "submit";
  button.textContent = "Sign out";
  const password = document.createElement("a");
  password.href = new URL("password", document.baseURI).href;
  password.textContent = "Password";
  form.append(name, password, button);
  document.body.append(form);
}

if (answer && !answer.ok && answer.status === 403) {
  const notice = document.createElement("p");
  notice.className = "shared-refusal";
  notice.setAttribute("role", "alert");
  notice.textContent = "The server refuses what this page asks. " + answer.reason;
  document.body.prepend(notice);
}
