package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"weir/internal/secrets"
	"weir/internal/server"
)

// etcdFlags name an etcd outside.
type etcdFlags struct {
	endpoints                 []string
	caFile, certFile, keyFile string
	user, passwordFile        string
}

func (e *etcdFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&e.endpoints, "etcd-endpoints", nil, "client URLs of an etcd cluster that holds the store instead of the data folder")
	f.StringVar(&e.caFile, "etcd-ca", "", "file with the authorities of the etcd's certificates; the system's when not given")
	f.StringVar(&e.certFile, "etcd-cert", "", "file with the certificate to show to etcd")
	f.StringVar(&e.keyFile, "etcd-key", "", "file with that certificate's key")
	f.StringVar(&e.user, "etcd-user", "", "user of etcd's own")
	f.StringVar(&e.passwordFile, "etcd-password-file", "", "file with that user's password")
}

// cluster gives what the flags name, nil when it is the embedded etcd.
func (e *etcdFlags) cluster() (*server.Cluster, error) {
	if len(e.endpoints) == 0 {
		if e.caFile+e.certFile+e.keyFile+e.user+e.passwordFile != "" {
			return nil, usageError{errors.New("--etcd-endpoints is missing: the other flags about etcd say how to reach those")}
		}
		return nil, nil
	}
	c := &server.Cluster{Endpoints: e.endpoints, Username: e.user}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.caFile != "" {
		bundle, err := os.ReadFile(e.caFile)
		if err != nil {
			return nil, fmt.Errorf("read --etcd-ca: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("read --etcd-ca %s: it holds no certificate in PEM", e.caFile)
		}
	}
	if (e.certFile == "") != (e.keyFile == "") {
		return nil, usageError{errors.New("--etcd-cert and --etcd-key go together")}
	}
	if e.certFile != "" {
		pair, err := tls.LoadX509KeyPair(e.certFile, e.keyFile)
		if err != nil {
			return nil, fmt.Errorf("read --etcd-cert and --etcd-key: %w", err)
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	c.TLS = settings
	if (e.user == "") != (e.passwordFile == "") {
		return nil, usageError{errors.New("--etcd-user and --etcd-password-file go together")}
	}
	if e.passwordFile != "" {
		raw, err := secrets.ReadPrivateFile(e.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("read --etcd-password-file: %w", err)
		}
		c.Password = strings.TrimRight(string(raw), "\r\n")
	}
	for _, u := range e.endpoints {
		if strings.HasPrefix(u, "http://") && (e.certFile != "" || e.caFile != "") {
			return nil, usageError{fmt.Errorf("--etcd-endpoints %s: without TLS, while certificates for it are given; write https://", u)}
		}
	}
	return c, nil
}
