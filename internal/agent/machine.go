package agent

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"os/user"
	"sync"
	"time"

	"weir/internal/accesslog"
	"weir/internal/haproxy"
	"weir/internal/secrets"
	"weir/internal/systemd"
)

// accounts remembers what account found: to ask the machine takes longer than all else that a change needs, and
// workers that run as somebody else from one change to the next would be a reload that nobody asked for.
var accounts sync.Map

// account gives who HAProxy's workers run as: nobody else than whoever starts it when that is not root; the accounts
// asked for when the machine has them, else those that every machine has. The machine is asked once while the agent runs.
func account(root bool, name, group string) (string, string) {
	if !root {
		return "", ""
	}
	asked := [2]string{name, group}
	found, ok := accounts.Load(asked)
	if !ok {
		u, g := lookUpAccount(name, group)
		found, _ = accounts.LoadOrStore(asked, [2]string{u, g})
	}
	both := found.([2]string)
	return both[0], both[1]
}

func lookUpAccount(name, group string) (string, string) {
	if _, err := user.Lookup(name); err != nil {
		name = "nobody"
	}
	for _, g := range []string{group, "nogroup", "nobody"} {
		if _, err := user.LookupGroup(g); err == nil {
			return name, g
		}
	}
	return name, "root"
}

// logPlace is where HAProxy logs to. It is kept, so that an agent which starts anew listens where HAProxy
// already sends to.
type logPlace struct {
	Addr  netip.AddrPort `json:"addr"`
	Token string         `json:"token"`
}

// logSocket is the name of the socket of log lines among the files that the service manager keeps open.
const logSocket = "log"

// listenLog opens the receiver of log lines at the kept place, or at a new one when that is taken. Where the service
// manager has kept the socket open, HAProxy's lines have been waiting in it since the agent before ended.
func listenLog(path string, manager *systemd.Manager, log *slog.Logger) (*accesslog.Receiver, haproxy.Log, error) {
	var place logPlace
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &place)
	}
	if err != nil || accesslog.CheckToken(place.Token) != nil || !place.Addr.IsValid() {
		place = logPlace{netip.MustParseAddrPort("127.0.0.1:0"), accesslog.NewToken()}
	}
	receiver, err := openLog(place, manager, log)
	if err != nil {
		return nil, haproxy.Log{}, err
	}
	place.Addr = receiver.Addr()
	now, err := json.Marshal(place)
	if err == nil && !bytes.Equal(now, raw) {
		err = secrets.WriteFile(path, now, 0o600)
	}
	if err != nil {
		return nil, haproxy.Log{}, errors.Join(fmt.Errorf("keep the place of the log: %w", err), receiver.Close())
	}
	return receiver, haproxy.Log{
		Target:      accesslog.LogTarget(place.Addr),
		HTTPFormat:  accesslog.HTTPFormat(place.Token),
		TCPFormat:   accesslog.TCPFormat(place.Token),
		ErrorFormat: accesslog.ErrorFormat(place.Token),
		HTTPSFormat: accesslog.HTTPSFormat(place.Token),
		TLSFormat:   accesslog.TLSFormat(place.Token),
		CallItems:   accesslog.CallItems,
	}, nil
}

func openLog(place logPlace, manager *systemd.Manager, log *slog.Logger) (*accesslog.Receiver, error) {
	if fd, ok := manager.Take(logSocket); ok {
		receiver, err := accesslog.Adopt(fd, place.Addr.String(), place.Token)
		if err == nil {
			return receiver, nil
		}
		log.Warn("log lines of while no agent ran are lost", "error", err)
	}
	receiver, err := accesslog.Listen(place.Addr.String(), place.Token)
	if err != nil {
		receiver, err = accesslog.Listen("127.0.0.1:0", place.Token)
	}
	if err != nil {
		return nil, err
	}
	if err := receiver.Lend(func(fd int) error { return manager.Keep(logSocket, fd) }); err != nil {
		log.Warn("log lines are lost while the agent starts anew", "error", err)
	}
	return receiver, nil
}

// placeholder makes the certificate that stands in every crt-list, so that none is ever empty. It names a host
// that can't exist (RFC 6761, 6.4), is nobody's, and is made once for a folder.
func placeholder(f *folder) error {
	have, err := os.ReadFile(f.path(haproxy.PlaceholderCert))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read placeholder certificate: %w", err)
	}
	if _, err := tls.X509KeyPair(have, have); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make placeholder certificate: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "weir.invalid"}, DNSNames: []string{"weir.invalid"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make placeholder certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make placeholder certificate: %w", err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	return f.write(haproxy.PlaceholderCert, text, durable)
}
