// What a Java program does with a card: loads SunPKCS11 with a configuration, lists the keys, signs a file with AUT and
// SIG from two threads, verifies with the certificates' keys, and leaves the signatures beside.
//   java Pkcs11Java.java CONFIGURATION PIN FILE FOLDER
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.Security;
import java.security.Signature;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class Pkcs11Java {
  static final int signaturesEach = 10;

  static byte[] sign(Provider provider, KeyStore keys, String alias, byte[] text) throws Exception {
    PrivateKey key = (PrivateKey) keys.getKey(alias, null);
    String algorithm = key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
    Signature signer = Signature.getInstance(algorithm, provider);
    signer.initSign(key);
    signer.update(text);
    byte[] signature = signer.sign();
    Signature verifier = Signature.getInstance(algorithm);
    verifier.initVerify(keys.getCertificate(alias).getPublicKey());
    verifier.update(text);
    if (!verifier.verify(signature)) throw new IllegalStateException(alias + ": a wrong signature");
    return signature;
  }

  public static void main(String[] words) throws Exception {
    Provider provider = Security.getProvider("SunPKCS11").configure(words[0]);
    Security.addProvider(provider);
    KeyStore keys = KeyStore.getInstance("PKCS11", provider);
    keys.load(null, words[1].toCharArray());
    byte[] text = Files.readAllBytes(Path.of(words[2]));
    for (String alias : Collections.list(keys.aliases())) System.out.println("alias " + alias);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    for (String role : new String[] {"AUT", "SIG"}) {
      List<Callable<byte[]>> work = new ArrayList<>();
      for (int i = 0; i < signaturesEach; i++) work.add(() -> sign(provider, keys, role, text));
      byte[] last = null;
      for (Future<byte[]> done : threads.invokeAll(work)) last = done.get();
      Files.write(Path.of(words[3], role + ".signature"), last);
      System.out.println(role + " signs");
    }
    threads.shutdown();
  }
}
