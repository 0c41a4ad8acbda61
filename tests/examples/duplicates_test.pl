#!/usr/bin/perl
# duplicates_test.pl CASE: one promise of examples/duplicates, on the real program, against an oracle of its own.
#
# DUPLICATES is the program, MODULE its tasks as a module, MAGEFLOW the command, MAKE_TREE the generator. Unreadable files need a user whom permissions bind: as root the
# program is run as nobody.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use tree;
use File::Temp 'tempdir';
use JSON::PP;
use Test::More;

my $work = tempdir(CLEANUP => 1);
my $tree = "$work/tree";
$ENV{TMPDIR} = "$work/tmp";
delete $ENV{MAGEFLOW_URL};
mkdir $_ or die "$_: $!" for $tree, $ENV{TMPDIR};
chmod 0755, $work;
my @as_nobody = $> == 0 ? qw(setpriv --reuid=65534 --regid=65534 --clear-groups) : ();

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    return <$file> // '';
}

# begin ARGUMENT...: start the program; finish PID: wait; gives code, standard output, standard error
sub begin {
    my @command = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    open STDOUT, '>', "$work/out" or die;
    open STDERR, '>', "$work/err" or die;
    exec { $command[0] } @command or die "@command: $!";
}

sub finish {
    my ($pid) = @_;
    waitpid $pid, 0;
    my $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
    return ($code, slurp("$work/out"), slurp("$work/err"));
}

sub run { return finish(begin($ENV{DUPLICATES}, @_)) }

# Lines of JSON → the last object, the groups as the oracle gives them
sub parse {
    my ($out) = @_;
    my @lines = map { decode_json($_) } split /\n/, $out;
    my $sum = pop @lines;
    my %groups = map { ("$_->{size} $_->{sha256}" => [sort @{ $_->{paths} }]) } @lines;
    return ($sum, \%groups, \@lines);
}

# until_true WHAT, CODE: look until it is so, for four minutes at most
sub until_true {
    my ($what, $look) = @_;
    my $end = time + 240;
    until ($look->()) {
        return fail("$what, within 240 s") if time > $end;
        select undef, undef, undef, 0.01;
    }
    return 1;
}

sub has_open {
    my ($pid, $path) = @_;
    return grep { (readlink($_) // '') eq $path } glob "/proc/$pid/fd/*";
}

sub left_behind {
    opendir my $dir, $ENV{TMPDIR} or die;
    return grep { !/^\.\.?$/ } readdir $dir;
}

# ---- what is found -------------------------------------------------------------------------------------------------------

sub case_finds_what_the_oracle_finds {
    make_odd_tree($tree);
    my $want = find_duplicates($tree);
    my ($code, $out, $err) = run('--json', '--all', $tree);
    my ($sum, $groups, $lines) = parse($out);
    is $code, 0, 'exit code';
    is $err, '', 'nothing on standard error';
    is $sum->{$_}, $want->{$_}, $_ for qw(files bytes duplicate_groups duplicate_files wasted_bytes);
    is_deeply $groups, $want->{groups}, 'groups';
    is_deeply [sort keys %$sum], [sort qw(files bytes failed duplicate_groups duplicate_files wasted_bytes seconds)],
        'the fields of the last line';
    my @waste = map { $_->{size} * (@{ $_->{paths} } - 1) } @$lines;
    is_deeply \@waste, [sort { $b <=> $a } @waste], 'the largest waste comes first';
    is_deeply [left_behind()], [], 'nothing is left behind';
    system 'rm', '-rf', $tree;      # perl's own cannot go as deep
}

sub case_text_shows_ten_groups_or_all {
    put("$tree/$_", 'x' x (1 + $_ % 15)) for 1 .. 45;
    my ($code, $out) = run($tree);
    is $code, 0, 'exit code';
    is scalar(() = $out =~ /^3 files of/mg), 10, 'ten groups';
    like $out, qr/^5 more groups; --all shows them$/m, 'how many more';
    like $out, qr/^45 files, 360 bytes, read in [\d.]+ s: 30 duplicates in 15 groups waste 240 bytes\n\z/m, 'the summary';
    ($code, $out) = run('--all', $tree);
    is scalar(() = $out =~ /^3 files of/mg), 15, 'all groups';
    chdir $tree;
    ($code, $out) = run();
    like $out, qr{^  \./14$}m, 'the current directory, when none is given';
    chdir '/';
}

sub case_empty_directory_has_nothing {
    my ($code, $out) = run('-j', $tree);
    my ($sum) = parse($out);
    is $code, 0, 'exit code';
    is $sum->{$_}, 0, $_ for qw(files bytes failed duplicate_groups duplicate_files wasted_bytes);
    ($code, $out) = run($tree);
    like $out, qr/^0 files, 0 bytes, read in [\d.]+ s: no duplicates$/, 'as text';
}

sub case_many_files_in_one_pass {
    open my $made, '-|', $ENV{MAKE_TREE}, "$tree/many", 3000 or die;
    my $want = decode_json(do { local $/; <$made> });
    close $made or die;
    my ($code, $out) = run('-j', '-t', 4, '-c', 100, $tree);
    my ($sum) = parse($out);
    is $code, 0, 'exit code';
    is $sum->{$_}, $want->{$_}, $_ for keys %$want;
}

sub case_list_may_lie_in_the_tree {
    $ENV{TMPDIR} = $tree;
    put("$tree/a", 'a');
    my ($code, $out) = run('-j', $tree);
    my ($sum) = parse($out);
    is "$code $sum->{files} $sum->{failed}", '0 1 0', 'the list is no file of the tree';
}

# ---- what cannot be read -------------------------------------------------------------------------------------------------

sub make_unreadable {
    put("$tree/good$_", 'good') for 1 .. 5;
    put("$tree/bad\n$_", 'good') for 1 .. 3;
    put("$tree/closed/x", 'good');
    chmod 0, glob("$tree/bad*"), "$tree/closed";
    chmod 0777, $ENV{TMPDIR};
    return if system(@as_nobody, 'test', '-x', $ENV{DUPLICATES}) == 0;
    print "skipped: nobody may not run $ENV{DUPLICATES}, and root reads everything\n";
    system 'chmod', '-R', 'u+rwx', $tree;
    exit 77;
}

sub case_unreadable_files_are_named_and_counted {
    make_unreadable();
    my ($code, $out, $err) = finish(begin(@as_nobody, $ENV{DUPLICATES}, '-j', $tree));
    my ($sum, $groups) = parse($out);
    is $code, 0, 'exit code';
    is "$sum->{files} $sum->{bytes} $sum->{failed} $sum->{duplicate_files}", '5 20 4 4', 'read and unread';
    is_deeply [sort split /\n/, $err],
        [(map { "duplicates: $tree/bad\\n$_: Permission denied" } 1 .. 3),
         "duplicates: $tree/closed: the directory cannot be read: Permission denied"], 'each is named';
    ($code, $out) = finish(begin(@as_nobody, $ENV{DUPLICATES}, $tree));
    like $out, qr/; 4 could not be read$/, 'as text';
    chmod 0700, "$tree/closed";
}

sub case_stops_after_failures {
    make_unreadable();
    my ($code, $out, $err) = finish(begin(@as_nobody, $ENV{DUPLICATES}, '-j', '--stop-after-failures', 2, '-c', 1, $tree));
    is $code, 1, 'exit code';
    is $out, '', 'nothing on standard output';
    like $err, qr/^duplicates: stopped: 2 of 9 files could not be read, and --stop-after-failures is 2$/m, 'says how many';
    is_deeply [left_behind()], [], 'nothing is left behind';
    ($code) = finish(begin(@as_nobody, $ENV{DUPLICATES}, '-j', '--stop-after-failures', 5, $tree));
    is $code, 0, 'four failures are fewer than five';
    chmod 0700, "$tree/closed";
}

sub case_changed_and_vanished_files_are_failures {
    put("$tree/$_", '') for qw(slow below/victim);      # the files of a directory come before those below it
    truncate "$tree/slow", 2**40;
    my $pid = begin($ENV{DUPLICATES}, '-j', '-c', 1, $tree);
    until_true('the first file is being read', sub { has_open($pid, "$tree/slow") });
    unlink "$tree/below/victim";
    truncate "$tree/slow", 0;
    my ($code, $out, $err) = finish($pid);
    my ($sum) = parse($out);
    is "$code $sum->{files} $sum->{failed}", '0 0 2', 'both are failures';
    like $err, qr{^duplicates: $tree/slow: changed while it was read$}m, 'the changed one';
    like $err, qr{^duplicates: $tree/below/victim: No such file or directory$}m, 'the vanished one';
}

# ---- the module ----------------------------------------------------------------------------------------------------------

sub send_task {
    my ($task, %message) = @_;
    return finish(begin($ENV{MAGEFLOW}, 'send', '--load', $ENV{MODULE}, "duplicates.$task", encode_json(\%message)));
}

sub case_module_serves_the_same_tasks {
    put("$tree/a", 'content');
    put("$tree/b/c", 'content');
    put("$work/list", '');
    my ($code, $out, $err) = send_task(list => dir => $tree, shown => 'here', spool => "$work/list");
    is "$code $err", '0 ', 'list: exit code';
    is_deeply decode_json($out), { spool => "$work/list", files => 2, directories => 2 }, 'list: its result';
    my $offset = index slurp("$work/list"), "\x01\x00\x00\x00\x01\x00a";
    ($code, $out, $err) = send_task(hash => spool => "$work/list", o => $offset);
    is "$code $err", '0 ', 'hash: exit code';
    is decode_json($out)->{b}, 7, 'hash: bytes';
    ($code, $out, $err) = send_task(failed => spool => "$work/list", o => $offset);
    is "$code $err", "0 duplicates: here/a: no reason was given\n", 'failed: to standard error';

    put("$work/precious", 'mine');
    ($code, $out, $err) = send_task(list => dir => $tree, shown => 'here', spool => "$work/precious");
    is $code, 1, 'list over another file: exit code';
    like $err, qr/ListFailed: .*precious holds something else/, 'list over another file: says why';
    is slurp("$work/precious"), 'mine', 'list over another file: nothing happened to it';
    ($code, $out, $err) = send_task(hash => spool => "$work/list", o => 3);
    like "$code $err", qr/^1 .*ReadFailed: the list of files holds no record at 3$/, 'hash of no record';
}

# ---- wrong usage, signals, the terminal ----------------------------------------------------------------------------------

sub case_wrong_usage_exits_2 {
    put("$tree/file", 'x');
    my @wrong = (
        [qr{: $tree/nosuch: No such file or directory}, "$tree/nosuch"],
        [qr{: $tree/file: Not a directory},             "$tree/file"],
        [qr/expected one directory, got 2/,             $tree, $tree],
        [qr/--threads: expected a number from 1 to 1024, got "x"/,           '--threads', 'x', $tree],
        [qr/--max-concurrency: expected a number from 1 to 65536, got "0"/,  '-c', 0, $tree],
        [qr/--stop-after-failures: expected a number from 1 to \d+, got "-1"/, '--stop-after-failures=-1', $tree],
        [qr/frob.*\nsee duplicates --help/,             '--frob'],
        [qr/unknown scheme "nosuch"/,                   '--url', 'nosuch:', $tree],
        [qr/--store: expected sqlite:FILE, got "memory"/, '--store', 'memory', $tree],
        [qr{beside $work/nowhere/jobs.db: No such file or directory},                '--store', "sqlite:$work/nowhere/jobs.db", $tree],
    );
    for (@wrong) {
        my ($say, @arguments) = @$_;
        my ($code, $out, $err) = run(@arguments);
        is $code, 2, "@arguments: exit code";
        is $out, '', "@arguments: nothing on standard output";
        like $err, $say, "@arguments: says why";
    }
    my ($code, $out) = run('--help');
    is $code, 0, '--help: exit code';
    like $out, qr/--$_\b/, "--help names --$_"
        for qw(max-concurrency stop-after-failures threads url store json all help);
    is_deeply [left_behind()], [], 'nothing is left behind';
}

sub case_signal_cancels_and_cleans_up {
    put("$tree/$_", '') for 1 .. 3;
    truncate "$tree/$_", 2**40 for 1 .. 3;
    for ([INT => 130], [TERM => 143]) {
        my ($signal, $want) = @$_;
        my $pid = begin($ENV{DUPLICATES}, $tree);
        until_true('a file is being read', sub { has_open($pid, "$tree/2") });
        is scalar(() = left_behind()), 1, 'the list is there';
        kill $signal, $pid;
        my ($code, $out, $err) = finish($pid);
        is $code, $want, "$signal: exit code";
        is $out, '', "$signal: nothing on standard output";
        is $err, "duplicates: interrupted\n", "$signal: one line";
        is_deeply [left_behind()], [], "$signal: the list is gone";
    }
}

# The program on a terminal: a bar that is written over, and wiped in the end.
sub case_terminal_shows_a_bar {
    put("$tree/$_", 'x') for 1 .. 3;
    put("$tree/below/slow", '');
    truncate "$tree/below/slow", 2**40;
    local $ENV{TERM} = 'xterm';
    pipe my $keys, my $press or die;
    pipe my $screen, my $paint or die;
    my $pid = fork // die;
    if (!$pid) {
        open STDIN, '<&', $keys or die;
        open STDOUT, '>&', $paint or die;
        close $press;
        exec 'script', '-qefc', "stty cols 70; exec '$ENV{DUPLICATES}' '$tree'", '/dev/null' or die;
    }
    close $_ for $keys, $paint;
    my $seen = '';
    while ($seen !~ m{\[#+ +\] 3/4 files  } && sysread $screen, my $part, 4096) {
        $seen .= $part;
    }
    like $seen, qr{\[#{22} {8}\] 3/4 files  \d+/s}, 'the bar: three of four';
    syswrite $press, "\cC";
    while (sysread $screen, my $part, 4096) {
        $seen .= $part;
    }
    waitpid $pid, 0;
    is $? >> 8, 130, 'Ctrl-C: exit code';
    like $seen, qr{\r\e\[K(?:\^C)?duplicates: interrupted\r\n\z}, 'the bar is wiped before the last line';
    my @lines = split /\r\n/, $seen;
    is scalar @lines, 1, 'the bar stays on one line';
}

# ---- killed and started again ---------------------------------------------------------------------------------------------

# Lines that a killed tracer leaves are cut off anywhere: a file counts as opened by a whole one.
sub opened {
    my ($trace) = @_;
    my ($text, %times) = (slurp($trace));
    $times{$1}++ while $text =~ m{openat\(\d+, "([^"]+)", [A-Z_|]*O_NOFOLLOW[A-Z_|]*\) = \d+$}gm;
    return \%times;
}

# The report without what no two runs share
sub said {
    my ($out) = @_;
    my ($sum, $groups) = parse($out);
    delete $sum->{seconds};
    return [$sum, $groups];
}

# KILLS in the environment: that many instead of 10. A kill comes when the program has done a random part of its work, as its
# trace tells; where nothing can be traced, after a random time.
sub case_killed_and_started_again_it_ends_as_undisturbed {
    my $kills = $ENV{KILLS} // 10;
    my $seed = $ENV{SEED} // time;
    srand $seed;
    open my $made, '-|', $ENV{MAKE_TREE}, "$tree/many", 800 or die;
    my @made = <$made>;
    close $made or die;
    local $ENV{ASAN_OPTIONS} = join ':', grep { defined } $ENV{ASAN_OPTIONS}, 'detect_leaks=0';    # not while traced
    my ($code, $out) = run('-j', '-a', $tree);
    is $code, 0, 'undisturbed: exit code';
    my $want = said($out);
    my $traced = system('strace -D -o /dev/null true 2>/dev/null') == 0;
    my %opened;
    my ($killed, $went_on, $searches) = (0, 0, 0);
    for (my $round = 0; $killed < $kills || $code != 0; $round++) {
        my $trace = "$work/trace-$round";
        my @tracer = $traced ? ('strace', '-D', '-f', '-qq', '-e', 'trace=openat', '-o', $trace) : ();
        put($trace, '');
        my $pid = begin(@tracer, $ENV{DUPLICATES}, '-j', '-a', '-S', "sqlite:$work/jobs.db", $tree);
        my $enough = int rand 20_000;    # bytes of trace, of 800 lines of about 90 in all
        my $ended = 0;
        if ($killed < $kills && $traced) {
            until_true('it works or ends', sub { -s $trace >= $enough || ($ended = waitpid($pid, 1) == $pid) });
        } elsif ($killed < $kills) {
            select undef, undef, undef, rand 0.3;
        }
        $killed += kill KILL => $pid if $killed < $kills && !$ended;
        waitpid $pid, 0 if !$ended;
        $code = $?;
        $went_on ||= slurp("$work/err") =~ /going on where/;
        if ($code == 0) {    # it was faster than its killer, or nobody's victim; the next one searches anew
            $searches++;
            is_deeply said(slurp("$work/out")), $want, "round $round: the report of an undisturbed run (SEED=$seed)";
        }
        my $times = opened($trace);
        $opened{$_} += $times->{$_} for keys %$times;
        last if $round > 10 * $kills;
    }
    is $killed, $kills, 'killed as often as it was to be';
    ok $went_on, 'what was begun by one was gone on with by another';
    if ($traced) {
        my @most = sort { $b <=> $a } values %opened;
        my $total = 0;
        $total += $_ for @most;
        cmp_ok $most[0], '<=', $searches + $kills, 'no file was opened more often than kills allow';
        cmp_ok $total, '<=', 800 * $searches + 30 * $kills, 'nor were all together: what was in flight, and no more';
    }
    is_deeply [grep { /list$/ } glob "$work/jobs.db*"], [], 'the list is gone';
}

my $case = main->can("case_" . ($ARGV[0] // '')) or die "usage: duplicates_test.pl CASE\n";
$case->();
done_testing;
