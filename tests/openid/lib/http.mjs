// http: one request with Node's own client: TLS client certificates, many cookies in an answer, every octet of a header.
import http from 'node:http';
import https from 'node:https';

/// { status, headers (as Node.js gives them: small letters, set-cookie a list), text }. `tls`: key and cert of a client.
export function send(url, { method = 'GET', headers = {}, body, tls, agent } = {}) {
  const { protocol } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? https : http).request(url, { method, headers, agent, ...tls }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(parts).toString('utf8') }));
    });
    request.setTimeout(60_000, () => request.destroy(new Error(`no answer from ${url}`)));
    request.on('error', reject);
    request.end(body);
  });
}

/// A fetch() for relying parties' libraries whose connections show a client certificate.
export function fetchWith(tls) {
  return async (url, { method, headers, body }) => {
    const fields = Object.fromEntries(new Headers(headers));
    const text = body === undefined || body === null ? undefined : body.toString();
    if (text !== undefined && !fields['content-type']) fields['content-type'] = 'application/x-www-form-urlencoded;charset=UTF-8';
    const answer = await send(String(url), { method, headers: fields, body: text, tls });
    const out = new Headers();
    for (const [name, value] of Object.entries(answer.headers)) for (const one of [value].flat()) out.append(name, one);
    return new Response([204, 304].includes(answer.status) ? null : answer.text, { status: answer.status, headers: out });
  };
}
