module airlock/internal/tools/govulncheck

go 1.26.0

tool golang.org/x/vuln/cmd/govulncheck

require (
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/telemetry v0.0.0-20261010193011-f71dc92da45e // indirect
	golang.org/x/tools v0.52.0 // indirect
	golang.org/x/vuln v1.9.0 // indirect
)

// The version that x/vuln asks for is not served by every module proxy; what
// it is used for there, counters that are never sent, has not changed.
replace golang.org/x/telemetry => golang.org/x/telemetry v0.0.0-20251111182119-bc8e575c7b54
