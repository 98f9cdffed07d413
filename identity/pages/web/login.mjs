// Whether the agent is on this computer: a small window goes to its address and comes back to a page of ours, which says
// so on a channel that only pages of this server hear. Without scripts the link leads to the agent directly.
const patience = 6000;
const channel = new BroadcastChannel('karta-agent');

if (location.pathname === '/login/here') {
  channel.postMessage('here');
  close();
}

const link = document.getElementById('by-card');
if (link) {
  const waiting = document.getElementById('agent-waiting');
  const missing = document.getElementById('agent-missing');
  document.getElementById('agent-plain').hidden = true;
  let timer = 0;
  let small = null;
  const stop = (found) => {
    clearTimeout(timer);
    waiting.hidden = true;
    small?.close();
    small = null;
    if (found) location.assign(link.href);
    else missing.hidden = false;
  };
  channel.addEventListener('message', () => { if (small) stop(true); });
  link.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    small = open(link.dataset.hello, 'karta-agent', 'popup,width=420,height=280');
    if (!small) return; // windows are not allowed: straight to the agent
    event.preventDefault();
    missing.hidden = true;
    waiting.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(() => stop(false), patience);
  });
}
