package server

import (
	"context"
	"fmt"
	"os"

	"weir"
	"weir/internal/sources"
)

// leadSources is the work of watching DiscoverySources, which one server does.
const leadSources = "discovery"

// openReach opens what sources may ask and read.
func (s *server) openReach(context.Context) error {
	destinations, err := sources.ParseDestinations(s.opts.DiscoveryDestinations)
	if err != nil {
		return err
	}
	s.reach.Destinations = destinations
	if err := sources.CheckNameservers(s.opts.Resolvers); err != nil {
		return fmt.Errorf("resolvers of partners' hosts: %w", err)
	}
	if s.opts.DiscoveryFiles == "" {
		return nil
	}
	if s.reach.Files, err = os.OpenRoot(s.opts.DiscoveryFiles); err != nil {
		return fmt.Errorf("open the folder of discovery's files: %w", err)
	}
	s.closers = append(s.closers, s.reach.Files.Close)
	return nil
}

func (s *server) sources() *sources.Runner {
	return sources.New(sources.Options{
		Store: s.store, Reach: s.reach, Clock: s.opts.Clock, Log: s.opts.Log, Server: hostname(s.store.ID()),
	})
}

// prepareSource says what drivers find wrong with a source.
func (s *server) prepareSource(ref weir.Ref, spec *weir.DiscoverySource) []weir.Problem {
	if spec.Driver() == "" {
		return nil // the rules say it
	}
	if err := s.reach.Check(spec); err != nil {
		return []weir.Problem{{Object: ref.String(), Path: "spec." + spec.Driver(), Message: err.Error()}}
	}
	return nil
}
