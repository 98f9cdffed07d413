# OpenSSH: ssh-keygen -D shows the card's keys, and ssh logs in to an sshd with one of them, asking for the PIN once.
# shellcheck shell=bash disable=SC1091,SC2154
source "$(dirname "${BASH_SOURCE[0]}")/pkcs11_lib.sh"
if grep -q deny /proc/self/setgroups 2>/dev/null; then
  echo "skipped: sshd needs setgroups, which this user namespace denies"
  exit 77
fi
step "a card: $1"
card_in_hand "$1"

step "ssh-keygen -D"
run ssh-keygen -D "$module"
for role in AUT SIG QES; do
  key=$(ssh-keygen -i -m PKCS8 -f "$work/${id_of[$role]}.pem")
  grep -qF "$key" "$work/out" || { cat "$work/out"; no "$role is not among the keys"; }
done

step "an sshd of our own"
mkdir -p /run/sshd "$HOME/.ssh"
run ssh-keygen -q -t ed25519 -N '' -f "$work/host"
cat >"$work/sshd_config" <<CONFIG
Port 4503
ListenAddress 127.0.0.1
HostKey $work/host
AuthorizedKeysFile $work/authorized
AuthenticationMethods publickey
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
CONFIG
serve 4503 /usr/sbin/sshd -D -e -f "$work/sshd_config"
printf '[127.0.0.1]:4503 %s\n' "$(cut -d' ' -f1,2 "$work/host.pub")" >"$work/known"
# Gives the PIN of the token that is asked for, and keeps count.
cat >"$work/askpass" <<ASKPASS
#!/bin/sh
echo "\$1" >>"$work/asked"
case \$1 in *"$qualified"*) echo $qualified_pin ;; *) echo $pin ;; esac
ASKPASS
chmod +x "$work/askpass"
export SSH_ASKPASS=$work/askpass SSH_ASKPASS_REQUIRE=force
log_in() { # words for the far side
  timeout 60 ssh -F none -p 4503 -o PKCS11Provider="$module" -o UserKnownHostsFile="$work/known" -o StrictHostKeyChecking=yes \
    -o PreferredAuthentications=publickey -o IdentityFile=none root@127.0.0.1 "$@"
}
for role in AUT SIG QES; do
  step "log-in with $role"
  ssh-keygen -i -m PKCS8 -f "$work/${id_of[$role]}.pem" >"$work/authorized"
  : >"$work/asked"
  run log_in 'echo far side of $SSH_CONNECTION'
  says "far side of 127.0.0.1"
  # A key that wants its PIN each time is asked for once more.
  most=1
  [ $role != QES ] || most=2
  [ "$(wc -l <"$work/asked")" -le $most ] || { cat "$work/asked"; no "asked for a PIN $(wc -l <"$work/asked") times"; }
done
step "a key of nobody's is refused"
run ssh-keygen -q -t ed25519 -N '' -f "$work/nobody"
cp "$work/nobody.pub" "$work/authorized"
refuse log_in 'echo far side'
echo "passed: $kind"
