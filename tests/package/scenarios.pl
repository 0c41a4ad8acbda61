#!/usr/bin/perl
# scenarios.pl ROOT: the table of the contract suite for flows names scenarios that are there, and nothing that can be asked of a flow
# is missing in it; what a bridge differs in stands in its README.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use source;

my $root = $ARGV[0] or die "usage: scenarios.pl ROOT\n";
my $suite = 'tests/contract/flows';
my $table = slurp("$root/$suite/README.md");

my %there;
for my $path (files($root, qr/_test\.c$/, $suite)) {
    my $text = without_comments(slurp("$root/$path"));
    $there{"$1/$2"} = 1 while $text =~ /^(?:FLOW_TEST|Test)\((\w+), (\w+)/mg;
}
my $named = 0;
while ($table =~ m{`(\w+/\w+)`}g) {
    next if $1 =~ m{^mageflow/};
    $named++;
    complain("$suite/README.md: there is no scenario $1") unless $there{$1};
}

# What can be asked of a flow: the functions of its two headers, and the options of a swarm and of a start.
for my $header (qw(flow.h control.h)) {
    my $text = without_comments(slurp("$root/lib/include/mageflow/$header"));
    my %asked;
    $asked{$1} = 1 while $text =~ /\b(mf_\w+)\(/g;
    while ($text =~ /typedef struct (mf_swarm_options|mf_start_options) \{(.*?)\}/sg) {
        my $fields = $2;
        $asked{$1} = 1 while $fields =~ /(\w+)\s*;/g;
    }
    delete @asked{qw(struct_size)};
    for (sort keys %asked) {
        complain("$suite/README.md: no scenario for $_ ($header)") unless $table =~ /`$_`/;
    }
}

for my $path (files($root, qr/_makers\.c$/, $suite)) {
    my ($bridge) = $path =~ m{(\w+)_makers\.c$};
    my ($text, $readme) = (without_comments(slurp("$root/$path")), slurp("$root/adapters/$bridge/README.md"));
    my %flags;
    for my $row ($text =~ /\{"[^"]*",\s*\w+,\s*\{([^}]*)\}/g) {
        $flags{$1} = 1 while $row =~ /\.(\w+)\s*=/g;
    }
    complain("$path: no row of a bridge") unless %flags;
    for (sort keys %flags) {
        complain("adapters/$bridge/README.md: nothing of the flag `$_` that $path sets") unless $readme =~ /`$_`/;
    }
}
verdict('scenarios of flows', $named);
