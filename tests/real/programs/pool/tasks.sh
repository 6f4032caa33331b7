# A worker in a language that has nothing but lines: JSON as text, and good luck.
channel=$ROOKERY_CHANNEL_FD
echo '{"type": "ready"}' >&"$channel"
while read -r line; do
  id=$(sed -n 's/.*"id":\([0-9]*\).*/\1/p' <<<"$line")
  case $line in
    *'"type":"stop"'*) exit ;;
    *'"name":"shout"'*)
      text=$(sed -n 's/.*"data":"\([^"]*\)".*/\1/p' <<<"$line")
      echo "{\"type\": \"result\", \"id\": $id, \"result\": \"${text^^}\"}" >&"$channel" ;;
    *'"type":"task"'*)
      echo "{\"type\": \"error\", \"id\": $id, \"error\": {\"name\": \"KeyError\"}}" >&"$channel" ;;
  esac
done <&"$channel"
