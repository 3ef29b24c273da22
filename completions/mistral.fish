# TAB completion of mistral for fish, written by `mistral completions fish`.

# Prints the command on the line, then how many words stand behind it that are no flags and no values of flags.
function __mistral_place
    set -l words (commandline -opc)
    set -l command ''
    set -l place 0
    set -l ends 0
    set -e words[1]
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        if test $ends = 0; and string match -qr -- '^-.' $word
            if test $word = --
                set ends 1
            else if __mistral_takes_value "$command $word"
                set -e words[1]
            end
        else if test -z $command
            set command $word
        else
            set place (math $place + 1)
        end
    end
    printf '%s\n' "$command" $place
end

# Whether the command on the line is one of these; an empty one: there is none yet.
function __mistral_uses
    set -l at (__mistral_place)
    contains -- "$at[1]" $argv
end

# Whether the cursor is at this place behind this command, or at a later one.
function __mistral_at
    set -l at (__mistral_place)
    test "$at[1]" = $argv[1]; and test $at[2] $argv[2] $argv[3]
end

# The names that the program itself knows, with what they are.
function __mistral_names
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    _MISTRAL_COMPLETE=$argv[1] $program $words[2..-1] "$current" 2>/dev/null
end

function __mistral_takes_value
    switch $argv[1]
        case ' --color'
            return 0
        case 'gen -p' 'gen --prompt' 'gen -f' 'gen --file' 'gen --template' 'gen --set' 'gen --role' 'gen -s' 'gen --system' 'gen --system-file' 'gen --prefix' 'gen --batch' 'gen -m' 'gen --model' 'gen --revision' 'gen --chat-template' 'gen --adapter' 'gen --backend' 'gen --dtype' 'gen --quantize' 'gen --kv' 'gen --device' 'gen --context' 'gen --threads' 'gen -t' 'gen --temperature' 'gen --top-p' 'gen --top-k' 'gen --min-p' 'gen --repetition-penalty' 'gen --presence-penalty' 'gen --frequency-penalty' 'gen --logit-bias' 'gen --seed' 'gen --order' 'gen -n' 'gen --max-tokens' 'gen --stop' 'gen --overflow' 'gen --logprobs' 'gen -o' 'gen --output' 'gen --color'
            return 0
        case 'chat --role' 'chat -s' 'chat --system' 'chat --system-file' 'chat --script' 'chat -m' 'chat --model' 'chat --revision' 'chat --chat-template' 'chat --adapter' 'chat --backend' 'chat --dtype' 'chat --quantize' 'chat --kv' 'chat --device' 'chat --context' 'chat --threads' 'chat -t' 'chat --temperature' 'chat --top-p' 'chat --top-k' 'chat --min-p' 'chat --repetition-penalty' 'chat --presence-penalty' 'chat --frequency-penalty' 'chat --logit-bias' 'chat --seed' 'chat --order' 'chat -n' 'chat --max-tokens' 'chat --stop' 'chat --overflow' 'chat --keys' 'chat --resume' 'chat --color'
            return 0
        case 'history -o' 'history --output' 'history --as' 'history -n' 'history --most' 'history --color'
            return 0
        case 'roles --color'
            return 0
        case 'templates --color'
            return 0
        case 'show --revision' 'show --on' 'show --color'
            return 0
        case 'list --color'
            return 0
        case 'pull --revision' 'pull --color'
            return 0
        case 'remove --revision' 'remove --color'
            return 0
        case 'use --color'
            return 0
        case 'tokens -f' 'tokens --file' 'tokens --template' 'tokens --set' 'tokens --role' 'tokens -s' 'tokens --system' 'tokens --system-file' 'tokens --prefix' 'tokens --messages' 'tokens -m' 'tokens --model' 'tokens --revision' 'tokens --tokenizer' 'tokens --chat-template' 'tokens --color'
            return 0
        case 'bench --random' 'bench --keep' 'bench --prompt-lengths' 'bench --depths' 'bench --batch' 'bench --repeat' 'bench -m' 'bench --model' 'bench --revision' 'bench --chat-template' 'bench --dtype' 'bench --quantize' 'bench --kv' 'bench --device' 'bench --context' 'bench --threads' 'bench --backend' 'bench --color'
            return 0
        case 'perplexity --window' 'perplexity --stride' 'perplexity --limit' 'perplexity -m' 'perplexity --model' 'perplexity --revision' 'perplexity --chat-template' 'perplexity --adapter' 'perplexity --dtype' 'perplexity --quantize' 'perplexity --kv' 'perplexity --device' 'perplexity --threads' 'perplexity --color'
            return 0
        case 'quant-diff --a' 'quant-diff --b' 'quant-diff --window' 'quant-diff -n' 'quant-diff --max-tokens' 'quant-diff --limit' 'quant-diff -m' 'quant-diff --model' 'quant-diff --revision' 'quant-diff --chat-template' 'quant-diff --adapter' 'quant-diff --dtype' 'quant-diff --kv' 'quant-diff --device' 'quant-diff --threads' 'quant-diff --color'
            return 0
        case 'quantize --to' 'quantize -o' 'quantize --output' 'quantize --revision' 'quantize --dtype' 'quantize --device' 'quantize --threads' 'quantize --color'
            return 0
        case 'merge -o' 'merge --output' 'merge --quantize' 'merge --revision' 'merge --dtype' 'merge --threads' 'merge --color'
            return 0
        case 'tune --data' 'tune -o' 'tune --output' 'tune --recipe' 'tune --sample' 'tune --samples' 'tune --revision' 'tune --format' 'tune --map' 'tune --source' 'tune --target' 'tune --subset' 'tune --split' 'tune --adapter' 'tune --rank' 'tune --alpha' 'tune --dropout' 'tune --targets' 'tune --lr' 'tune --schedule' 'tune --warmup' 'tune --epochs' 'tune --steps' 'tune --loss' 'tune --eval-split' 'tune --eval-every' 'tune --seed' 'tune --save-every' 'tune --quantize' 'tune --batch' 'tune --accumulate' 'tune --length' 'tune --threads' 'tune --color'
            return 0
        case 'data --examples' 'data --length' 'data --loss' 'data --format' 'data --map' 'data --source' 'data --target' 'data --subset' 'data --split' 'data --search' 'data -o' 'data --output' 'data -m' 'data --model' 'data --revision' 'data --tokenizer' 'data --chat-template' 'data --color'
            return 0
        case 'cache --color'
            return 0
        case 'config --color'
            return 0
        case 'completions --color'
            return 0
        case 'doctor --color'
            return 0
    end
    return 1
end

complete -c mistral-cli -w mistral
complete -c mistral -f
complete -c mistral -n "__mistral_uses ''" -a gen -d 'Answer one prompt: for questions, pipes and scripts'
complete -c mistral -n "__mistral_uses ''" -a chat -d 'Hold a conversation in the terminal'
complete -c mistral -n "__mistral_uses ''" -a history -d 'Look through the chats that are kept'
complete -c mistral -n "__mistral_uses ''" -a roles -d 'Show the roles that --role knows'
complete -c mistral -n "__mistral_uses ''" -a templates -d 'Show the prompt templates that gen --template knows'
complete -c mistral -n "__mistral_uses ''" -a show -d 'Tell what a model is, from its files alone'
complete -c mistral -n "__mistral_uses ''" -a list -d 'Show the models on this disk, and the short names of others'
complete -c mistral -n "__mistral_uses ''" -a pull -d 'Download a model from the Hugging Face hub'
complete -c mistral -n "__mistral_uses ''" -a remove -d 'Remove a model from this disk'
complete -c mistral -n "__mistral_uses ''" -a use -d 'Set the model that answers where none is named'
complete -c mistral -n "__mistral_uses ''" -a tokens -d 'Show the tokens that would be sent to a model'
complete -c mistral -n "__mistral_uses ''" -a bench -d 'Measure how fast a model runs here'
complete -c mistral -n "__mistral_uses ''" -a perplexity -d 'Measure how well a model foretells a text'
complete -c mistral -n "__mistral_uses ''" -a quant-diff -d 'Compare a model\'s words in two quantizations, on your own text'
complete -c mistral -n "__mistral_uses ''" -a quantize -d 'Hold a model\'s weights in fewer bits, ahead of time'
complete -c mistral -n "__mistral_uses ''" -a merge -d 'Put LoRA adapters into a model\'s weights for good'
complete -c mistral -n "__mistral_uses ''" -a tune -d 'Train a LoRA adapter on your own data'
complete -c mistral -n "__mistral_uses ''" -a data -d 'Check training data, or make it of kept chats'
complete -c mistral -n "__mistral_uses ''" -a cache -d 'Show or free quantized copies of models and kept caches'
complete -c mistral -n "__mistral_uses ''" -a config -d 'Show the settings and who set them, or change them'
complete -c mistral -n "__mistral_uses ''" -a completions -d 'Print what makes a shell complete commands at TAB'
complete -c mistral -n "__mistral_uses ''" -a doctor -d 'Check this installation and say what to mend'
complete -c mistral -n "__mistral_uses '' gen chat history roles templates show list pull remove use tokens bench perplexity quant-diff quantize merge tune data cache config completions doctor" -l color -r -f -a 'auto always never' -d 'When to colour: by default on a terminal'
complete -c mistral -n "__mistral_uses '' gen chat history roles templates show list pull remove use tokens bench perplexity quant-diff quantize merge tune data cache config completions doctor" -l debug -d 'Show the traceback of an error'
complete -c mistral -n "__mistral_uses ''" -l version -d 'Show the version and exit'
complete -c mistral -n "__mistral_uses '' gen chat history roles templates show list pull remove use tokens bench perplexity quant-diff quantize merge tune data cache config completions doctor" -s h -l help -d 'Show the help and exit'
complete -c mistral -n "__mistral_uses gen" -s p -l prompt -r -f -d 'The prompt, instead of PROMPT'
complete -c mistral -n "__mistral_uses gen tokens" -s f -l file -r -F -d 'Add a file to the prompt'
complete -c mistral -n "__mistral_uses gen tokens" -l stdin -d 'Read stdin where it is not a terminal, and add it last (the default)'
complete -c mistral -n "__mistral_uses gen tokens" -l no-stdin -d 'Not: Read stdin where it is not a terminal, and add it last (the default)'
complete -c mistral -n "__mistral_uses gen tokens" -l template -r -f -k -a '(__mistral_names templates; __fish_complete_suffix .toml)' -d 'Put prompt, files and stdin where this template has places for them: a name (mistral templates) or a file'
complete -c mistral -n "__mistral_uses gen tokens" -l set -r -f -k -a '(__mistral_names fields)' -d 'With --template: what stands for {{FIELD}}; repeatable'
complete -c mistral -n "__mistral_uses gen chat tokens" -l role -r -f -k -a '(__mistral_names roles)' -d 'Answer as this role does: its system prompt and parameters (mistral roles); none for no role'
complete -c mistral -n "__mistral_uses gen chat tokens" -s s -l system -r -f -d 'The system prompt'
complete -c mistral -n "__mistral_uses gen chat tokens" -l system-file -r -F -d 'Read the system prompt from a file'
complete -c mistral -n "__mistral_uses gen tokens" -l prefix -r -f -d 'Start the answer with these words'
complete -c mistral -n "__mistral_uses gen tokens" -l raw -d 'Send the prompt as it is, without the chat template'
complete -c mistral -n "__mistral_uses gen tokens" -l no-raw -d 'Not: Send the prompt as it is, without the chat template'
complete -c mistral -n "__mistral_uses gen" -l lines -d 'Each line of stdin is a prompt'
complete -c mistral -n "__mistral_uses gen" -l no-lines -d 'Not: Each line of stdin is a prompt'
complete -c mistral -n "__mistral_uses gen" -l batch -r -f -d 'With --lines: answer N lines side by side, each with a cache of its own'
complete -c mistral -n "__mistral_uses gen chat tokens bench perplexity quant-diff data" -s m -l model -r -f -k -a '(__mistral_names models; __fish_complete_directories)' -d 'A folder, a hub id (OWNER/NAME), a short name (7b) or builtin'
complete -c mistral -n "__mistral_uses gen chat show pull remove tokens bench perplexity quant-diff quantize merge tune data" -l revision -r -f -d 'Branch, tag or commit of a hub id'
complete -c mistral -n "__mistral_uses gen chat tokens bench perplexity quant-diff data" -l chat-template -r -f -a 'v1 v2 v3 v3-tekken v7 v7-tekken v11 v13' -d 'Chat template to use instead of the model\'s: v1 … v13'
complete -c mistral -n "__mistral_uses gen chat perplexity quant-diff" -l adapter -r -f -a '(__fish_complete_directories)' -d 'A LoRA adapter on top of the model: a folder or a hub id, and how strong (1); repeatable'
complete -c mistral -n "__mistral_uses gen chat bench" -l backend -r -f -a 'native hf' -d 'Who computes: our own engine (Mistral, Mixtral) or transformers (any other architecture, several GPUs)'
complete -c mistral -n "__mistral_uses gen chat bench perplexity quant-diff quantize merge" -l dtype -r -f -a 'bfloat16 float16 float32 float64' -d 'Number format of the weights'
complete -c mistral -n "__mistral_uses gen chat bench perplexity" -l quantize -r -f -a 'none nf4 int8 int4' -d 'Hold the weights in 4 or 8 bits: a quarter of the memory, or half'
complete -c mistral -n "__mistral_uses gen chat bench perplexity quant-diff" -l kv -r -f -a 'none int8' -d 'Hold keys and values in 8 bits: half the memory of a context'
complete -c mistral -n "__mistral_uses gen chat bench perplexity quant-diff quantize" -l device -r -f -a 'auto cpu cuda mps' -d 'auto, cpu, cuda, cuda:1, mps …'
complete -c mistral -n "__mistral_uses gen chat" -l compile -d 'Compile the layers with torch for writing'
complete -c mistral -n "__mistral_uses gen chat" -l no-compile -d 'Not: Compile the layers with torch for writing'
complete -c mistral -n "__mistral_uses gen chat bench" -l context -r -f -d 'Tokens that fit, prompt and answer together'
complete -c mistral -n "__mistral_uses gen chat bench perplexity quant-diff quantize merge tune" -l threads -r -f -d 'CPU threads'
complete -c mistral -n "__mistral_uses gen chat" -s t -l temperature -r -f -d '0 picks the likeliest token'
complete -c mistral -n "__mistral_uses gen chat" -l top-p -r -f -d 'Keep the likeliest tokens that reach this probability'
complete -c mistral -n "__mistral_uses gen chat" -l top-k -r -f -d 'Keep the N likeliest tokens'
complete -c mistral -n "__mistral_uses gen chat" -l min-p -r -f -d 'Keep tokens at least this fraction as likely as the likeliest'
complete -c mistral -n "__mistral_uses gen chat" -l repetition-penalty -r -f -d 'Make tokens of prompt and answer less likely'
complete -c mistral -n "__mistral_uses gen chat" -l presence-penalty -r -f -d 'Subtract once from tokens that stand in the answer'
complete -c mistral -n "__mistral_uses gen chat" -l frequency-penalty -r -f -d 'Subtract each time a token stands in the answer'
complete -c mistral -n "__mistral_uses gen chat" -l logit-bias -r -f -d 'Add BIAS to the logit of token ID'
complete -c mistral -n "__mistral_uses gen chat" -l seed -r -f -d 'The same seed gives the same answer'
complete -c mistral -n "__mistral_uses gen chat" -l order -r -f -a 'temperature-first temperature-last' -d 'Apply the temperature before (default) or after the filters'
complete -c mistral -n "__mistral_uses gen chat" -s n -l max-tokens -r -f -d 'End the answer after N tokens'
complete -c mistral -n "__mistral_uses gen chat" -l stop -r -f -d 'End the answer before this text'
complete -c mistral -n "__mistral_uses gen chat" -l watchdog -d 'End an answer that says the same over and over: up to 64 tokens, 8 times or more, 200 tokens or more'
complete -c mistral -n "__mistral_uses gen chat" -l no-watchdog -d 'Not: End an answer that says the same over and over: up to 64 tokens, 8 times or more, 200 tokens or more'
complete -c mistral -n "__mistral_uses gen chat" -l overflow -r -f -a 'error drop-oldest' -d 'What to do when the context is full: refuse the question (exit 6), or leave the oldest turns out of the prompt'
complete -c mistral -n "__mistral_uses gen" -l json -d 'One JSON object: text, tokens, reason, timings, model, parameters'
complete -c mistral -n "__mistral_uses gen" -l no-json -d 'Not: One JSON object: text, tokens, reason, timings, model, parameters'
complete -c mistral -n "__mistral_uses gen" -l logprobs -r -f -d 'With --json: log-probabilities of each token and the K likeliest'
complete -c mistral -n "__mistral_uses gen" -s o -l output -r -F -d 'Write the answer to FILE (FILE.partial after Ctrl-C)'
complete -c mistral -n "__mistral_uses gen" -s x -l extract -d 'Only the first fenced code block'
complete -c mistral -n "__mistral_uses gen" -l no-extract -d 'Not: Only the first fenced code block'
complete -c mistral -n "__mistral_uses gen" -l trim -d 'Leave out blanks and line ends around the answer'
complete -c mistral -n "__mistral_uses gen" -l no-trim -d 'Not: Leave out blanks and line ends around the answer'
complete -c mistral -n "__mistral_uses gen" -l markdown -d 'Render Markdown on a terminal, while it comes'
complete -c mistral -n "__mistral_uses gen" -l no-markdown -d 'Not: Render Markdown on a terminal, while it comes'
complete -c mistral -n "__mistral_uses gen" -l confidence -d 'On a terminal: tint each token by its probability'
complete -c mistral -n "__mistral_uses gen" -l no-confidence -d 'Not: On a terminal: tint each token by its probability'
complete -c mistral -n "__mistral_uses gen chat" -l plain -d 'On a terminal: the text as it is, wrapped at words'
complete -c mistral -n "__mistral_uses gen chat" -l no-plain -d 'Not: On a terminal: the text as it is, wrapped at words'
complete -c mistral -n "__mistral_uses gen chat" -l stats -d 'Say on stderr what the answer cost'
complete -c mistral -n "__mistral_uses gen chat" -l no-stats -d 'Not: Say on stderr what the answer cost'
complete -c mistral -n "__mistral_uses gen chat tokens bench perplexity quant-diff quantize merge tune data" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c mistral -n "__mistral_uses gen chat tokens bench perplexity quant-diff quantize merge tune data" -l no-quiet -d 'Not: Say nothing on stderr but errors'
complete -c mistral -n "__mistral_uses chat" -l script -r -F -d 'Take questions and commands from a file, a line each, instead of a keyboard'
complete -c mistral -n "__mistral_uses chat" -l keys -r -f -a 'emacs vi' -d 'Which editor\'s keys edit the line that you type'
complete -c mistral -n "__mistral_uses chat" -l resume -r -f -k -a '(__mistral_names chats)' -d 'Go on with a chat (without a name, the last one) and with its own model, unless -m names another'
complete -c mistral -n "__mistral_uses chat" -l store -d 'Keep the chat on this disk (the default), or leave no trace'
complete -c mistral -n "__mistral_uses chat" -l no-store -d 'Not: Keep the chat on this disk (the default), or leave no trace'
complete -c mistral -n "__mistral_uses chat" -l keep-cache -d 'Keep what was computed of the chat too, so that --resume need not read a long one again'
complete -c mistral -n "__mistral_uses chat" -l no-keep-cache -d 'Not: Keep what was computed of the chat too, so that --resume need not read a long one again'
complete -c mistral -n "__mistral_uses history" -s o -l output -r -F -d 'export: write a file, .md or .json'
complete -c mistral -n "__mistral_uses history" -l as -r -f -a 'md json' -d 'export: Markdown or JSON, whatever the file is called'
complete -c mistral -n "__mistral_uses history" -s n -l most -r -f -d 'search: N turns at most'
complete -c mistral -n "__mistral_uses history" -l yes -s y -d 'remove: do not ask'
complete -c mistral -n "__mistral_uses history roles templates show list pull remove use quantize merge tune data cache config doctor" -l json -d 'Print one JSON object'
complete -c mistral -n "__mistral_uses show" -l on -r -f -k -a '(__mistral_names models; __fish_complete_directories)' -d 'Say whether the adapter fits this model'
complete -c mistral -n "__mistral_uses show" -l tree -d 'Draw the modules with their shapes'
complete -c mistral -n "__mistral_uses list" -l aliases -d 'Show the short names instead, and the models they stand for'
complete -c mistral -n "__mistral_uses pull" -l verify -d 'Read back every byte that is here and compare it with the hub\'s checksums'
complete -c mistral -n "__mistral_uses pull remove" -l yes -s y -d 'Do not ask'
complete -c mistral -n "__mistral_uses tokens" -l messages -r -F -d 'A whole conversation as JSON: a list of messages, or an object with messages and tools'
complete -c mistral -n "__mistral_uses tokens data" -l tokenizer -r -F -d 'A tokenizer file, or a folder that holds one, instead of a model\'s'
complete -c mistral -n "__mistral_uses tokens" -l json -d 'Print one JSON object: version, ids, pieces'
complete -c mistral -n "__mistral_uses bench" -l random -r -f -d 'Random weights of a real shape, in memory, instead of MODEL: tiny, 7b, nemo-12b, mixtral-small …'
complete -c mistral -n "__mistral_uses bench" -l keep -r -f -a '(__fish_complete_directories)' -d 'With --random: write the model there (as many bytes as a real one), or take it if it is there'
complete -c mistral -n "__mistral_uses bench" -l prompt-lengths -r -f -d 'Prompts to read (default: 128,512)'
complete -c mistral -n "__mistral_uses bench" -l depths -r -f -d 'Tokens in the cache when decoding begins (default: 100,1000)'
complete -c mistral -n "__mistral_uses bench" -l batch -r -f -d 'Answers decoded side by side (default: 8'
complete -c mistral -n "__mistral_uses bench" -l repeat -r -f -d 'Times each is measured (default: 3)'
complete -c mistral -n "__mistral_uses bench" -l starts -d 'Time the program\'s start, files cached and not'
complete -c mistral -n "__mistral_uses bench" -l no-starts -d 'Not: Time the program\'s start, files cached and not'
complete -c mistral -n "__mistral_uses bench" -l quick -d 'Measure less, and once: a prompt of 128, a depth of 100'
complete -c mistral -n "__mistral_uses perplexity" -l window -r -f -d 'Tokens read at once (default: 2048, or what the model can)'
complete -c mistral -n "__mistral_uses perplexity" -l stride -r -f -d 'Tokens between the beginnings of two windows (default: half a window)'
complete -c mistral -n "__mistral_uses perplexity" -l limit -r -f -d 'Read the first N tokens only'
complete -c mistral -n "__mistral_uses quant-diff" -l a -r -f -d 'What is judged: nf4, int8, nf4,kv=int8, dtype=float32 …'
complete -c mistral -n "__mistral_uses quant-diff" -l b -r -f -d 'What it is compared with'
complete -c mistral -n "__mistral_uses quant-diff" -l lines -d 'Each line is a prompt, sent as a chat'
complete -c mistral -n "__mistral_uses quant-diff" -l raw -d 'With --lines: send each as it is, without the template'
complete -c mistral -n "__mistral_uses quant-diff" -l window -r -f -d 'Without --lines: cut the text into windows of N tokens'
complete -c mistral -n "__mistral_uses quant-diff" -s n -l max-tokens -r -f -d 'Tokens of each answer that is compared'
complete -c mistral -n "__mistral_uses quant-diff" -l limit -r -f -d 'Prompts at most, from the beginning'
complete -c mistral -n "__mistral_uses quantize" -l to -r -f -a 'nf4 int8 int4' -d 'What the weights become'
complete -c mistral -n "__mistral_uses quantize" -s o -l output -r -f -a '(__fish_complete_directories)' -d 'Write a folder that transformers reads, too'
complete -c mistral -n "__mistral_uses quantize merge" -l force -d 'Replace the model in DIR'
complete -c mistral -n "__mistral_uses merge" -s o -l output -r -f -a '(__fish_complete_directories)' -d 'The new model\'s folder'
complete -c mistral -n "__mistral_uses merge" -l quantize -r -f -a 'nf4 int8' -d 'Quantize the merged weights, in a form that transformers reads, too'
complete -c mistral -n "__mistral_uses tune" -l data -r -F -d 'What is learnt: .jsonl, .json, .csv, .tsv or plain text'
complete -c mistral -n "__mistral_uses tune" -s o -l output -r -f -a '(__fish_complete_directories)' -d 'The adapter\'s folder, new or empty (default: DATA-adapter, here)'
complete -c mistral -n "__mistral_uses tune" -l dry-run -d 'Only tell what it would take'
complete -c mistral -n "__mistral_uses tune" -l resume -d 'Go on with the training in DIR, from its last checkpoint'
complete -c mistral -n "__mistral_uses tune" -l recipe -r -F -d 'A TOML file with any of the flags below, as beside each adapter: rank = 8'
complete -c mistral -n "__mistral_uses tune" -l sample -r -f -d 'Answered by base and adapter in the end, side by side'
complete -c mistral -n "__mistral_uses tune" -l samples -r -f -d 'How many rows kept apart are answered so'
complete -c mistral -n "__mistral_uses tune data" -l format -r -f -a 'chat sharegpt instruction completion translation text raw' -d 'What a row is: chat (messages, tools), sharegpt (conversations), instruction (instruction, input, output), completion (prompt, completion: a question and its answer), translation, text, or raw (prompt, completion: no chat format). By default what its columns say'
complete -c mistral -n "__mistral_uses tune data" -l map -r -f -d 'What the data calls a column: --map prompt=question,completion=answer'
complete -c mistral -n "__mistral_uses tune data" -l source -r -f -d 'Translate from this language: its column, en or fr'
complete -c mistral -n "__mistral_uses tune data" -l target -r -f -d 'Translate into this language: its column, en or fr'
complete -c mistral -n "__mistral_uses tune data" -l subset -r -f -d 'Which subset of a hub\'s data set, such as en-fr'
complete -c mistral -n "__mistral_uses tune data" -l split -r -f -d 'Which split of a hub\'s data set (train)'
complete -c mistral -n "__mistral_uses tune data" -l strict -d 'The first row that cannot be used is an error'
complete -c mistral -n "__mistral_uses tune data" -s y -l yes -d 'Download a hub\'s data set without asking, however large it is'
complete -c mistral -n "__mistral_uses tune" -l adapter -r -F -d 'An adapter to go on from, a folder or a hub id'
complete -c mistral -n "__mistral_uses tune" -l rank -r -f -d 'Rank of the two matrices of each adapter (default: 16)'
complete -c mistral -n "__mistral_uses tune" -l alpha -r -f -d 'The update is scaled by ALPHA / RANK (default: 32)'
complete -c mistral -n "__mistral_uses tune" -l dropout -r -f -d 'Part of an adapter\'s inputs that is left out by chance (default: 0)'
complete -c mistral -n "__mistral_uses tune" -l targets -r -f -d 'Layers that get an adapter: some of q, k, v, o, gate, up, down with commas between, or all-linear (default: q,v)'
complete -c mistral -n "__mistral_uses tune" -l lr -r -f -d 'Learning rate at its highest (default: 2e-4)'
complete -c mistral -n "__mistral_uses tune" -l schedule -r -f -a 'cosine linear constant' -d 'How the learning rate falls (default: cosine)'
complete -c mistral -n "__mistral_uses tune" -l warmup -r -f -d 'Part of the steps in which the learning rate rises (default: 0.03)'
complete -c mistral -n "__mistral_uses tune" -l epochs -r -f -d 'How often each sample is seen (default: 3)'
complete -c mistral -n "__mistral_uses tune" -l steps -r -f -d 'Steps of the optimizer, instead of --epochs (default: 0, as --epochs has it)'
complete -c mistral -n "__mistral_uses tune" -l loss -r -f -a 'answers all' -d 'What is learnt: the assistant\'s words and their end, or every token (default: answers)'
complete -c mistral -n "__mistral_uses tune" -l eval-split -r -f -d 'Part of the rows that is kept apart, and asked before and after (default: 0.1)'
complete -c mistral -n "__mistral_uses tune" -l eval-every -r -f -d 'Steps from one time to the next that they are asked while it trains (default: 0, once an epoch)'
complete -c mistral -n "__mistral_uses tune" -l seed -r -f -d 'The same seed gives the same order, split and beginning (default: 0)'
complete -c mistral -n "__mistral_uses tune" -l save-every -r -f -d 'Steps from one checkpoint to the next (default: 50)'
complete -c mistral -n "__mistral_uses tune" -l quantize -r -f -a 'none nf4' -d 'The base\'s weights while it learns: as they are (LoRA), or in 4 bits (QLoRA), a quarter of the memory (default: none)'
complete -c mistral -n "__mistral_uses tune" -l batch -r -f -d 'Sequences computed at once (default: 4)'
complete -c mistral -n "__mistral_uses tune" -l accumulate -r -f -d 'Batches of one step of the optimizer (default: 4)'
complete -c mistral -n "__mistral_uses tune" -l length -r -f -d 'Tokens of a sequence at most'
complete -c mistral -n "__mistral_uses tune" -l packing -d 'Fill sequences with several short samples, each of which sees only itself (default: no)'
complete -c mistral -n "__mistral_uses tune" -l no-packing -d 'Not: Fill sequences with several short samples, each of which sees only itself (default: no)'
complete -c mistral -n "__mistral_uses tune" -l checkpointing -d 'Compute activations twice instead of keeping them: less memory, a third more time (default: yes)'
complete -c mistral -n "__mistral_uses tune" -l no-checkpointing -d 'Not: Compute activations twice instead of keeping them: less memory, a third more time (default: yes)'
complete -c mistral -n "__mistral_uses data" -l examples -r -f -d 'Samples to show (2)'
complete -c mistral -n "__mistral_uses data" -l length -r -f -d 'Tokens of a sample at most (1024)'
complete -c mistral -n "__mistral_uses data" -l loss -r -f -a 'answers all' -d 'What is learnt: the answers, or every token'
complete -c mistral -n "__mistral_uses data" -l search -r -f -d 'Only chats that hold these words'
complete -c mistral -n "__mistral_uses data" -l branches -d 'Every branch of a chat, other tries of an answer too'
complete -c mistral -n "__mistral_uses data" -l unfinished -d 'Answers too that were stopped, cut off, or ended as they repeated themselves'
complete -c mistral -n "__mistral_uses data" -s o -l output -r -F -d 'A .jsonl file'
complete -c mistral -n "__mistral_at history -eq 0" -f -a 'list show search export remove path'
complete -c mistral -n "__mistral_at history -ge 1" -f -k -a '(__mistral_names chats)'
complete -c mistral -n "__mistral_at roles -eq 0" -f -a 'list show path'
complete -c mistral -n "__mistral_at roles -eq 1" -f -k -a '(__mistral_names roles)'
complete -c mistral -n "__mistral_at templates -eq 0" -f -a 'list show path'
complete -c mistral -n "__mistral_at templates -eq 1" -f -k -a '(__mistral_names templates; __fish_complete_suffix .toml)'
complete -c mistral -n "__mistral_at show -eq 0" -f -k -a '(__mistral_names models; __fish_complete_directories)'
complete -c mistral -n "__mistral_at pull -eq 0" -f -k -a '(__mistral_names ids)'
complete -c mistral -n "__mistral_at remove -ge 0" -f -k -a '(__mistral_names models; __fish_complete_directories)'
complete -c mistral -n "__mistral_at use -eq 0" -f -k -a '(__mistral_names models; __fish_complete_directories)'
complete -c mistral -n "__mistral_at bench -eq 0" -f -k -a '(__mistral_names models; __fish_complete_directories)'
complete -c mistral -n "__mistral_at perplexity -eq 0" -F
complete -c mistral -n "__mistral_at quant-diff -eq 0" -F
complete -c mistral -n "__mistral_at quantize -eq 0" -f -k -a '(__mistral_names models; __fish_complete_directories)'
complete -c mistral -n "__mistral_at merge -eq 0" -f -k -a '(__mistral_names models; __fish_complete_directories)'
complete -c mistral -n "__mistral_at merge -ge 1" -f -a '(__fish_complete_directories)'
complete -c mistral -n "__mistral_at tune -eq 0" -f -k -a '(__mistral_names models; __fish_complete_directories)'
complete -c mistral -n "__mistral_at data -eq 0" -f -a 'check from-history'
complete -c mistral -n "__mistral_at data -ge 1" -F -k -a '(__mistral_names lessons)'
complete -c mistral -n "__mistral_at cache -eq 0" -f -a 'list remove clear'
complete -c mistral -n "__mistral_at cache -ge 1" -f -k -a '(__mistral_names copies)'
complete -c mistral -n "__mistral_at config -eq 0" -f -a 'list get set unset path'
complete -c mistral -n "__mistral_at config -ge 1" -f -k -a '(__mistral_names settings)'
complete -c mistral -n "__mistral_at completions -eq 0" -f -a 'bash zsh fish'
