#!/usr/bin/perl
# files.pl ROOT: a header's bare name says which file is meant, and no file grows beyond what one can hold in the head.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use source;

my $root = $ARGV[0] or die "usage: files.pl ROOT\n";
my $limit = 600;    # lines

my @all = files($root, qr/(\.(c|h|cpp|cmake|pl|pm|sh|py|proto|in)|CMakeLists\.txt|^script\/.*)$/,
    qw(lib adapters cli examples tests bench cmake script));
my %first;
for my $path (@all) {
    my $lines = () = slurp("$root/$path") =~ /\n/g;
    complain("$path: $lines lines, more than $limit: more than one story?") if $lines > $limit;
}
# Two tests may each have a header of one name, as nobody sees both; none may hide one of ours.
sub a_tests_own { return $_[0] =~ m{^(tests/(?!support/)|bench/)} }
for my $path (sort { (a_tests_own($a) ? 1 : 0) <=> (a_tests_own($b) ? 1 : 0) } @all) {
    next unless $path =~ m{([^/]+\.h)$} && $path !~ m{/include/mageflow/};
    complain("$path: $first{$1} has the same name, and headers are included by their bare name")
        if $first{$1} && !(a_tests_own($path) && a_tests_own($first{$1}));
    $first{$1} //= $path;
}
for my $path (files($root, qr/\.h$/, qw(lib adapters))) {
    next unless $path =~ m{/include/(mageflow/[^/]+\.h)$};
    complain("$path: $first{$1} is included as <$1> too") if $first{$1};
    $first{$1} //= $path;
}
verdict('file names and lengths', scalar @all);
