// loads the page anew while its run goes on; the server leaves this script out when it has ended
const again = async () => {
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const there = window.innerHeight + window.scrollY >= document.body.scrollHeight - 40;
    if (String(getSelection()) === "") document.getElementById("main").innerHTML = page.getElementById("main").innerHTML;
    if (there) window.scrollTo(0, document.body.scrollHeight);
    if (!page.querySelector("script")) return;
  } catch { /* the service is away for a moment */ }
  setTimeout(again, 1500);
};
setTimeout(again, 1500);
