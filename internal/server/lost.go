package server

import (
	"fmt"
	"os"

	"weir/internal/store"
)

// notLost refuses a data folder that has been in use and holds no store any more: beginning a new one would look like
// a fleet without wishes, under another CA, and write over the token of the old one.
func (s *server) notLost() error {
	o := s.storeOptions()
	if o.Cluster != nil || o.Peers != nil && o.Peers.Join != nil {
		return nil
	}
	if _, err := os.Stat(s.path(bundleFile)); err != nil {
		return nil // it never got as far as serving
	}
	has, err := store.HasData(o.Dir)
	if err != nil || has {
		return err
	}
	return fmt.Errorf("open data folder: %s has been in use, for %s is there, but its store in %s is missing or not whole: put that back, or restore a backup with weir server restore; if the store is elsewhere, give --etcd-endpoints; to begin anew, move the folder away", s.opts.Dir, bundleFile, o.Dir)
}
