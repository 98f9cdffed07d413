// by_card: the log-in page's way by card, in a browser of playwright-core.

/// Asks for the way by card until `there`, the caller's wait for the agent's page, is over; fails as that does. The page
/// gives an agent six seconds to answer: a machine too busy for that is told that there is none, and asks again, as a
/// citizen would.
export async function askAgent(page, there, ask = () => page.locator('#by-card').click()) {
  const arrived = there.then(() => true);
  for (;;) {
    await ask();
    const missing = page.locator('#agent-missing').waitFor({ timeout: 0 }).then(() => false, () => arrived);
    if (await Promise.race([arrived, missing])) return;
  }
}
