# shellcheck shell=sh
# Names a certificate to Dask, one for scheduler, workers and runs alike, and makes it where there is none:
#
#   . flows/deploy/tls.sh
#
# Certificate and private key are one file, $SOJOURN_TLS. Who has it can run code on the cluster: give it to its machines
# and to nobody else. It lasts a year; remove it to have another made.
SOJOURN_TLS=${SOJOURN_TLS:-$HOME/.config/sojourn/tls.pem}
if [ ! -e "$SOJOURN_TLS" ]; then
    mkdir -p "$(dirname "$SOJOURN_TLS")"
    (
        umask 077
        openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=sojourn \
            -keyout "$SOJOURN_TLS.key" -out "$SOJOURN_TLS.crt" 2>/dev/null
        cat "$SOJOURN_TLS.crt" "$SOJOURN_TLS.key" >"$SOJOURN_TLS.new"
        rm "$SOJOURN_TLS.crt" "$SOJOURN_TLS.key"
        mv "$SOJOURN_TLS.new" "$SOJOURN_TLS"
    )
fi
export SOJOURN_TLS
export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True
export DASK_DISTRIBUTED__COMM__TLS__CA_FILE="$SOJOURN_TLS"
export DASK_DISTRIBUTED__COMM__TLS__SCHEDULER__CERT="$SOJOURN_TLS"
export DASK_DISTRIBUTED__COMM__TLS__WORKER__CERT="$SOJOURN_TLS"
export DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT="$SOJOURN_TLS"
